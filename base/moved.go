// SPDX-License-Identifier: Apache-2.0

package base

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/lock"
)

// maxNamed bounds how many packages an error names.
const maxNamed = 20

// MovedError means that the repositories have other package lists than the lock.
type MovedError struct {
	System   lock.System
	Was, Now time.Time // of the newest of the lists that have moved
	Date     time.Time // of the lock for that system
	Lost     []lock.Loss
	Packages int   // that the lock has of the system
	Err      error // why the packages could not be compared, nil if they were
}

func (e *MovedError) Error() string {
	text := fmt.Sprintf("the package lists of %s are of %s, those of the lock of %s: ", e.System, e.Now.UTC().Format(time.RFC3339), e.Was.UTC().Format(time.RFC3339))
	if e.Err != nil {
		return text + "which packages have moved is not known: " + e.Err.Error()
	}
	if len(e.Lost) == 0 {
		return text + "every locked package is still there, but other lists make images of another date"
	}
	return fmt.Sprintf("%s%d of %d locked packages cannot be had:%s", text, len(e.Lost), e.Packages, Named(e.Lost))
}

func (e *MovedError) Unwrap() error { return e.Err }

// Hint is where the old ones are, or how to leave them.
func (e *MovedError) Hint() string {
	const leave = ", or " + relock
	date := e.Date.Format(lock.DateFormat)
	if e.Now.Before(e.Was) {
		return "the mirror has older lists than the lock; an archive takes a state in some time after its date: name it with a somewhat later time than " + date + " in place of {date}" + leave
	}
	return "name a mirror by date that has the state of " + date + ", such as --debian-mirror 'http://mirror.example/archive/{archive}/{date}'" + leave
}

// relock is how to leave a lock.
const relock = "build without --locked and run 'cudabuild lock update'"

// Code is the exit code: it was checked, and does not hold.
func (e *MovedError) Code() int { return 1 }

// Named is a line for each package, of the first twenty, and how many more there are.
func Named[T fmt.Stringer](all []T) string {
	var text strings.Builder
	for _, l := range all[:min(len(all), maxNamed)] {
		text.WriteString("\n  " + l.String())
	}
	if more := len(all) - maxNamed; more > 0 {
		fmt.Fprintf(&text, "\n  and %d more", more)
	}
	return text.String()
}

// RepositoriesError means that an OS has other repositories than the lock.
type RepositoriesError struct {
	System    lock.System
	New, Gone []string // their addresses, sorted
}

func (e *RepositoriesError) Error() string {
	text := fmt.Sprintf("%s has other repositories than in the lock:", e.System)
	for _, address := range e.New {
		text += "\n  " + address + " is new"
	}
	for _, address := range e.Gone {
		text += "\n  " + address + " is no longer used"
	}
	return text
}

// Hint is what has the same.
func (e *RepositoriesError) Hint() string {
	return "take the recipes and the mmdebstrap that it was locked with, or " + relock
}

// Code is the exit code: it was checked, and does not hold.
func (e *RepositoriesError) Code() int { return 1 }

// checkRepositories compares the addresses of repositories with those of a system's lists.
func checkRepositories(system lock.System, lists []lock.List, addresses []string) error {
	e := &RepositoriesError{System: system}
	for _, address := range addresses {
		if !slices.ContainsFunc(lists, func(l lock.List) bool { return l.Repository == address }) {
			e.New = append(e.New, address)
		}
	}
	for _, list := range lists {
		if !slices.Contains(addresses, list.Repository) {
			e.Gone = append(e.Gone, list.Repository)
		}
	}
	if len(e.New)+len(e.Gone) == 0 {
		return nil
	}
	slices.Sort(e.New)
	slices.Sort(e.Gone)
	return e
}

// RootError means that what was made is not the root, or not the index, of the lock.
type RootError struct {
	Want lock.Root
	Got  Base
}

func (e *RootError) Error() string {
	text := e.Want.String()
	for _, part := range []struct{ what, is, want string }{{"root", e.Got.Root.String(), e.Want.Digest}, {"index", e.Got.Lists.String(), e.Want.Index}} {
		if part.is != part.want {
			text += fmt.Sprintf(": its %s is %s, the lock has %s", part.what, part.is, part.want)
		}
	}
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(e.Want.Tools)) {
		if is := e.Got.Tools[name]; is != e.Want.Tools[name] {
			differ = append(differ, fmt.Sprintf("%s %s, locked with %s", name, cmp.Or(is, "of no known version"), e.Want.Tools[name]))
		}
	}
	if len(differ) > 0 {
		text += ": made by " + strings.Join(differ, "; ")
	}
	return text
}

// Hint is what makes the same.
func (e *RootError) Hint() string {
	if e.Got.Image != "" {
		return "another image, key or address of its repositories than when it was locked: take the recipes of then, or " + relock
	}
	return "bootstrap with the locked versions of the tools and of cudabuild, or " + relock
}

// Code is the exit code: it was checked, and does not hold.
func (e *RootError) Code() int { return 1 }
