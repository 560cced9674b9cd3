// SPDX-License-Identifier: Apache-2.0

// Command corpus measures what `cudabuild verify` finds of real NVIDIA drivers. It
// downloads the driver packages of every Debian suite that the host's mirror carries,
// takes each file of the driver out of them, puts it into images under every disguise,
// and has each image judged. What is found is printed as a table by class and
// disguise, with each driver branch left out in turn: a file counts as found without its
// branch only if the same evidence also found a file of another branch.
//
// Packages that look like the driver, use it or look after it and are none of it, of Debian
// and of npm, are judged as well: nothing may be said about them. -drivers and -clean choose
// some of it: the CUDA toolkit alone is over a gigabyte, its stubs in three releases are two
// more. folder.sh beside this file judges folders of a machine, as its Python with CUDA.
//
// Nothing of a package is kept but the packages themselves, in the folder -cache. The
// exit code is 1 if a library that has an export class was missed in any disguise, if
// anything plain, deleted or hard-linked was, if a class or a version was wrong, or at
// any false alarm.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/bench/corpus/recall"
)

func main() {
	cache := flag.String("cache", "/var/tmp/cudabuild-corpus", "folder that keeps the packages")
	drivers := flag.String("drivers", "all", "driver branches to judge, as 470,525; all or none")
	clean := flag.String("clean", "all", "packages without the driver to judge, of "+strings.Join(recall.CleanGroups(), ",")+"; all or none")
	out := flag.String("o", "", "file to write the tables to, besides standard output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *cache, *drivers, *clean, *out); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cache, drivers, clean, out string) error {
	var page string
	var verdict error
	if drivers != "none" {
		score, err := judgeDrivers(ctx, cache, drivers)
		if err != nil {
			return err
		}
		page, verdict = score.Page(), score.Verdict()
	}
	if clean != "none" {
		groups := recall.CleanGroups()
		if clean != "all" {
			groups = strings.Split(clean, ",")
		}
		alarms, err := recall.FalseAlarms(ctx, cache, groups)
		if err != nil {
			return err
		}
		page, verdict = page+alarms.Page(), errors.Join(verdict, alarms.Verdict())
	}
	fmt.Print(page)
	if out != "" {
		verdict = errors.Join(os.WriteFile(out, []byte(page), 0o644), verdict)
	}
	return verdict
}

func judgeDrivers(ctx context.Context, cache, drivers string) (*recall.Score, error) {
	var branches []string
	if drivers != "all" {
		branches = strings.Split(drivers, ",")
	}
	releases, err := recall.Releases(ctx, cache, branches...)
	if err != nil {
		return nil, err
	}
	var score recall.Score
	for _, r := range releases {
		if err := score.Judge(ctx, r); errors.Is(err, recall.ErrNotThere) && !slices.Contains(branches, r.Branch()) {
			fmt.Fprintln(os.Stderr, "corpus: without", err)
		} else if err != nil {
			return nil, err
		}
	}
	return &score, nil
}
