// SPDX-License-Identifier: Apache-2.0

// Command observe runs a command in a pod and prints what was seen, as one line (package
// fleet/observe):
//
//	observe install DIR   copy this program to DIR/observe, for an unchanged image
//	observe run [--limit 1m] [--row FILE] -- CMD...  run the command, print the row, or make it all of a file that is there
//	observe version
//
// Run ends with 0 if the row was printed, whatever the command did, with 1 if it was told to stop, so that
// nobody takes the row of half a run for one, and with 2 if it is called in a wrong way.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/cudabuild/cudabuild/fleet/observe"
)

var errUsage = errors.New("want install DIR, run [--limit 1m] [--row FILE] -- CMD..., or version")

var errStopped = errors.New("it was told to stop")

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "observe: error: %v\n", err)
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

func run(args []string, stdout io.Writer) error {
	switch {
	case len(args) > 0 && args[0] == "run":
		return command(args[1:], stdout)
	case len(args) == 2 && args[0] == "install":
		return install(args[1])
	case len(args) == 1 && args[0] == "version":
		info, _ := debug.ReadBuildInfo()
		_, err := fmt.Fprintf(stdout, "observe %s (rows of version %d, %s)\n", info.Main.Version, observe.Version, info.GoVersion)
		return err
	}
	return errUsage
}

func command(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	limit := flags.Duration("limit", 0, "")
	row := flags.String("row", "", "")
	termination := flags.String("termination-log", "/dev/termination-log", "")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	if flags.NArg() == 0 {
		return errUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if *row != "" {
		file, err := os.OpenFile(*row, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		stdout = file
	}
	err := observe.Run(ctx, observe.Request{Args: flags.Args(), Limit: *limit}).Write(stdout, *termination)
	if err == nil && ctx.Err() != nil {
		return errStopped
	}
	return err
}
