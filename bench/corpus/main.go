// SPDX-License-Identifier: Apache-2.0

// Command corpus measures what `cudabuild verify` finds of real NVIDIA drivers. It
// downloads the driver packages of every Debian suite that the host's mirror carries,
// takes each file of the driver out of them, puts it into images under every disguise,
// and has each image judged. What is found is printed as a table by class and
// disguise, with each driver branch left out in turn: a file counts as found without its
// branch only if the same evidence also found a file of another branch.
//
// Packages that look like the driver and are none of it are judged as well: nothing may be
// said about them. With -n the CUDA toolkit, over a gigabyte, is left out.
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
	"path/filepath"
	"slices"
)

func main() {
	cache := flag.String("cache", "/var/tmp/cudabuild-corpus", "folder that keeps the packages")
	most := flag.Int("n", 0, "how many driver releases to take, newest and oldest first; 0 is all")
	out := flag.String("o", "", "file to write the tables to, besides standard output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *cache, *most, *out); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cache string, most int, out string) error {
	releases, err := findReleases(ctx, cache)
	if err != nil {
		return err
	}
	releases = choose(releases, most)
	var all score
	var judged []release
	for _, r := range releases {
		fmt.Fprintf(os.Stderr, "corpus: driver %s: %d packages of %s\n", r.version, len(r.packages), r.suite.name)
		files, err := r.download(ctx, filepath.Join(cache, "packages"))
		if err != nil { // the mirror lists more than it has
			fmt.Fprintf(os.Stderr, "corpus: without driver %s: %v\n", r.version, err)
			continue
		}
		judged = append(judged, r)
		for _, file := range files {
			if err := all.judgePackage(ctx, r, file); err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(file), err)
			}
		}
	}
	packages := neighbours
	if most == 0 {
		packages = slices.Concat(neighbours, toolkit)
	}
	clean, alarms, err := falseAlarms(ctx, cache, packages)
	page := all.page(judged) + alarmPage(clean, alarms)
	fmt.Print(page)
	if out != "" && err == nil {
		err = os.WriteFile(out, []byte(page), 0o644)
	}
	if len(alarms) > 0 {
		err = errors.Join(err, fmt.Errorf("%d false alarms", len(alarms)))
	}
	return errors.Join(err, all.verdict())
}

// whole is how many packages a release of a driver has at least; modprobe and the like
// have releases of their own.
const whole = 20

// choose takes the newest, the oldest, the second newest whole driver and so on.
func choose(releases []release, most int) []release {
	if most == 0 {
		return releases
	}
	releases = slices.DeleteFunc(releases, func(r release) bool { return len(r.packages) < whole })
	var chosen []release
	for len(chosen) < most && len(releases) > 0 {
		at := 0
		if len(chosen)%2 == 0 {
			at = len(releases) - 1
		}
		chosen = append(chosen, releases[at])
		releases = slices.Delete(releases, at, at+1)
	}
	return chosen
}
