// SPDX-License-Identifier: Apache-2.0

// Command predictions makes bench/predictions/predictions.md from a ledger: what was predicted of
// images on GPUs, beside what was seen.
//
//	predictions -ledger ledger -o bench/predictions/predictions.md
//
// A case is an image's digest, and the test if it is not a sample, with the GPUs that it was
// given (model and indexes), so that running one image again counts once. Rows of stand-ins
// do not count, nor those of --dry.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/cudabuild/cudabuild/gpu"
)

func main() {
	ledger := flag.String("ledger", "ledger", "ledger to read")
	out := flag.String("o", "bench/predictions/predictions.md", "page to write")
	flag.Parse()
	rows, err := gpu.ReadLedger(*ledger)
	if err == nil {
		err = os.WriteFile(*out, []byte(page(casesOf(rows), "../../"+*ledger)), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "predictions:", err)
		os.Exit(1)
	}
}
