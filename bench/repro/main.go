// SPDX-License-Identifier: Apache-2.0

// Command repro builds a group of the matrix twice, each time on a fresh engine
// with empty caches, and compares the digests of the images.
//
// Exit codes: 0 the same bits; 1 different bits, the first differing file named;
// 3 the repositories moved between the builds, so nothing can be said.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/cudabuild/cudabuild/record"
)

var errMoved = errors.New("inputs moved: the package repositories changed between the two builds; run it again")

func main() {
	group := flag.String("group", "default", "group of the matrix")
	work := flag.String("work", "", "folder for both builds, emptied first; default a temporary one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := run(ctx, *group, *work); {
	case errors.Is(err, errMoved):
		fmt.Fprintln(os.Stderr, "repro:", err)
		os.Exit(3)
	case err != nil:
		fmt.Fprintln(os.Stderr, "repro:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, group, work string) error {
	if work == "" {
		dir, err := os.MkdirTemp("", "cudabuild-repro-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		work = dir
	}
	var runs [2]record.Run
	var outs [2]string
	for i := range runs {
		outs[i] = filepath.Join(work, fmt.Sprintf("out-%d", i+1))
		state := filepath.Join(work, fmt.Sprintf("state-%d", i+1))
		if err := errors.Join(os.RemoveAll(outs[i]), os.RemoveAll(state)); err != nil {
			return err
		}
		var err error
		if runs[i], err = build(ctx, group, state, outs[i]); err != nil {
			return err
		}
		if err := os.RemoveAll(state); err != nil { // half of the disk that two builds take
			return err
		}
	}
	return compare(runs, outs)
}

func build(ctx context.Context, group, state, out string) (result record.Run, err error) {
	cmd := exec.CommandContext(ctx, "bin/cudabuild", "matrix", "--quiet", "--json",
		"--group", group, "--state-dir", state, "--out", out)
	cmd.Stderr = os.Stderr
	data, err := cmd.Output()
	if err != nil {
		return result, fmt.Errorf("%v: %w", cmd.Args, err)
	}
	return result, json.Unmarshal(data, &result)
}

// compare looks at the inputs first: from other packages come other bits.
func compare(runs [2]record.Run, outs [2]string) error {
	if len(runs[0].Inputs) != len(runs[1].Inputs) {
		return errMoved
	}
	for i, a := range runs[0].Inputs {
		if a.Lists != runs[1].Inputs[i].Lists {
			return errMoved
		}
	}
	var problems []error
	for i, a := range runs[0].Cells {
		b := runs[1].Cells[i]
		if a.Digest == b.Digest {
			fmt.Printf("same       %-24s %s\n", a.ID, a.Digest)
			continue
		}
		where, err := firstDifference(outs, a.Tags[0], b.Tags[0])
		fmt.Printf("different  %-24s %s %s: %s\n", a.ID, a.Digest, b.Digest, where)
		problems = append(problems, fmt.Errorf("%s differs: %s", a.ID, where), err)
	}
	return errors.Join(problems...)
}
