// SPDX-License-Identifier: Apache-2.0

// Command observe stands in for cmd/observe where there is no driver: it runs the command and sees it as that does, and
// takes the driver's files and the GPUs' nodes from the folder /stand-in, which a stand-in CDI
// specification brings. Its rows say so.
package main

import (
	"context"
	"flag"
	"os"
	"time"

	"github.com/cudabuild/cudabuild/fleet/observe"
)

func main() {
	if os.Args[1] != "run" {
		return
	}
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	limit, row := flags.Duration("limit", time.Minute, ""), flags.String("row", "", "")
	_ = flags.Parse(os.Args[2:])
	file, err := os.OpenFile(*row, os.O_WRONLY, 0)
	if err == nil {
		err = observe.Run(context.Background(), observe.Request{Args: flags.Args(), Limit: *limit, StandIn: "/stand-in"}).Write(file, "")
	}
	if err != nil {
		panic(err)
	}
}
