// SPDX-License-Identifier: Apache-2.0

// Package usertest is about tests that people write of their own images: what to run, what
// is expected of it, and which figures its output holds.
//
// [Load] reads a file of tests, or those of a matrix.yaml, which package matrix reads by
// the same [Written] and [Forms]. A [Test] knows which images it is of, whether it can run
// with some GPUs, and what an output says. The package runs nothing.
package usertest

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/compat"
)

// Test is a test of one's own. It is read-only.
type Test struct {
	Name  string
	Image string   // glob on cell IDs and references; "" for every image
	Run   []string // nil for the image's own command
	Exit  int      // that is expected

	Stdout  *regexp.Regexp // what stdout must have, nil for anything
	Limit   time.Duration  // 0 where the file does not say
	Figures map[string]Figure
	GPUs    int // how many it is given, [All] for all that there are

	Driver        string   // that it is for, in the words of [compat.DriverIs]; "" for any
	Architectures []string // of the GPUs that it is for; none for any
}

// All is a number of GPUs: as many as there are.
const All = -1

// Figure is a number in a program's stdout.
type Figure struct {
	Pattern *regexp.Regexp // with one group, the number
	Lower   bool           // less is better
}

// Digest names what makes figures of two runs comparable: the command, the patterns of the
// figures, and the number of GPUs. Another expectation, limit or condition does not change it.
func (t Test) Digest() string {
	figures := map[string][2]string{}
	for name, f := range t.Figures {
		figures[name] = [2]string{written(f.Pattern), strconv.FormatBool(f.Lower)}
	}
	return digest(t.Run, figures, t.GPUs)
}

// ExpectDigest names what a run is judged by: the exit code, the pattern and the time limit.
func (t Test) ExpectDigest() string {
	stdout := ""
	if t.Stdout != nil {
		stdout = written(t.Stdout)
	}
	return digest(t.Exit, stdout, t.Limit)
}

func digest(parts ...any) string {
	text, _ := json.Marshal(parts) // of strings and numbers: no error
	return fmt.Sprintf("sha256:%x", sha256.Sum256(text))
}

// Of reports whether the test is of an image that has one of these names.
func (t Test) Of(names ...string) bool {
	return t.Image == "" || slices.ContainsFunc(names, func(name string) bool {
		matches, _ := path.Match(t.Image, name) // the form of the glob was checked
		return matches || t.Image == name
	})
}

// Unfit says why the test cannot run with this driver and these GPUs, each by its
// architecture, "" if it can.
func (t Test) Unfit(driver string, gpus []string) string {
	switch {
	case t.GPUs == All && len(gpus) == 0:
		return "no GPU is chosen, and the test does not say gpus: 0"
	case t.GPUs > len(gpus):
		return fmt.Sprintf("it takes %d GPUs, and %d are chosen", t.GPUs, len(gpus))
	case t.Driver != "" && !compat.DriverIs(t.Driver, driver):
		return fmt.Sprintf("it is for driver %s, here is %s", t.Driver, cmp.Or(driver, "none"))
	}
	if t.GPUs != All {
		gpus = gpus[:t.GPUs]
	}
	for _, arch := range gpus {
		if len(t.Architectures) > 0 && !slices.Contains(t.Architectures, arch) {
			return fmt.Sprintf("it is for GPUs of %v, here is %s", t.Architectures, arch)
		}
	}
	return ""
}

// Ended says how a program ended, by its exit code or, below 0, by a signal.
func Ended(exit int) string {
	if exit < 0 {
		return "ended by a signal"
	}
	return fmt.Sprintf("exit code %d", exit)
}

// Never says why the test runs on no host with a driver that is what is asked for, and a GPU of
// each of some architectures, and what to do about it; "" if there may be such hosts.
func (t Test) Never(driver string, gpus []string) (why, next string) {
	if t.GPUs == 0 {
		return "it takes gpus: 0", "let it take a GPU, or do not ask for it"
	}
	for _, arch := range gpus {
		if len(t.Architectures) > 0 && !slices.Contains(t.Architectures, arch) {
			return "its when.gpu has no " + arch, fmt.Sprintf("add %s there, or ask for the test on %v alone", arch, t.Architectures)
		}
	}
	if t.Driver != "" && !compat.AnyDriverIs(driver+" "+t.Driver) {
		return fmt.Sprintf("its when.driver is %q, and no such driver is %q", t.Driver, driver), "change one of the two"
	}
	return "", ""
}

// Read takes the figures from what a run printed, and says what is other than expected, "" if
// nothing is.
func (t Test) Read(exit int, stdout []byte) (figures map[string]float64, why string) {
	figures = map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(t.Figures)) {
		value, problem := t.Figures[name].read(stdout)
		if problem == "" {
			figures[name] = value
		} else if why == "" {
			why = fmt.Sprintf("figure %s: %s", name, problem)
		}
	}
	switch {
	case exit != t.Exit:
		why = fmt.Sprintf("%s, want %d", Ended(exit), t.Exit)
	case t.Stdout != nil && !t.Stdout.Match(stdout):
		why = `stdout has nothing that matches "` + written(t.Stdout) + `"`
	}
	return figures, why
}

// written is a pattern as the file has it.
func written(pattern *regexp.Regexp) string { return strings.TrimPrefix(pattern.String(), eachLine) }

func (f Figure) read(stdout []byte) (value float64, problem string) {
	found := f.Pattern.FindSubmatch(stdout)
	if found == nil {
		return 0, `stdout has nothing that matches "` + written(f.Pattern) + `"`
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, fmt.Sprintf("\"%s\" is no number", found[1])
	case !Comparable(value):
		return 0, fmt.Sprintf("\"%s\" is no number that can be compared", found[1])
	}
	return value, ""
}

// Comparable says whether a figure can be compared: limits around it are numbers, too.
func Comparable(value float64) bool { return math.Abs(value) <= 1e300 }
