// SPDX-License-Identifier: Apache-2.0

package base

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/recipes"
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
	return fmt.Sprintf("name a mirror by date that has the state of %s, such as --debian-mirror 'http://mirror.example/archive/{archive}/{date}', or build without --locked and run 'cudabuild lock update'", e.Date.Format(lock.DateFormat))
}

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

// ToolsError means that the locked packages made another root than that of the lock.
type ToolsError struct {
	Want lock.Root
	Got  Base
}

func (e *ToolsError) Error() string {
	text := fmt.Sprintf("the root of %s is %s with the index %s, the lock has %s with %s", e.Want.System, e.Got.Root, e.Got.Lists, e.Want.Digest, e.Want.Index)
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
func (e *ToolsError) Hint() string {
	return "bootstrap with the locked versions of the tools and of cudabuild, or build without --locked and run 'cudabuild lock update'"
}

// Code is the exit code: it was checked, and does not hold.
func (e *ToolsError) Code() int { return 1 }

// CheckLock returns a [MovedError] if the locked root of a system is not in the store and cannot
// be made, because the repositories have other lists than the lock. It makes nothing. What a
// vendor's repositories have shows when a step installs from them.
func (s *Store) CheckLock(ctx context.Context, r *recipes.Recipe, platform string) error {
	if _, ok := s.Known(ctx, r, platform); ok || r.OS.Image != "" {
		return nil
	}
	by, err := s.runner(platform)
	if err != nil {
		return err
	}
	src, err := s.findSources(ctx, by, r.OS, platform)
	if err != nil {
		return fmt.Errorf("bootstrap %s: %w", r.OS.Name, err)
	}
	return s.checkSources(ctx, src, lock.System{OS: r.OS.Name, Platform: platform})
}

// checkSources compares the lists of repositories with those of the lock, if there is one.
func (s *Store) checkSources(ctx context.Context, src sources, system lock.System) error {
	if s.Lock == nil {
		return nil
	}
	moved := &MovedError{System: system, Date: s.Lock.Date(system)}
	locked := map[string]lock.List{}
	for _, list := range s.Lock.ListsOf(system) {
		locked[list.Repository] = list
	}
	same := len(locked) == len(src.sums) // mmdebstrap names neither more of them nor fewer
	for address, sum := range src.sums {
		if list := locked[address]; list.SHA256 != sum.Encoded() {
			same, moved.Was, moved.Now = false, later(moved.Was, list.Date), later(moved.Now, src.dates[address])
		}
	}
	if same {
		return nil
	}
	moved.Packages = len(s.Lock.PackagesOf(system))
	have, err := s.packagesAt(ctx, src, system.Platform)
	if moved.Err = err; err == nil {
		moved.Lost = s.Lock.Lost(system, have)
	}
	return moved
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// checkMade compares a root that has just been made with that of the lock, if there is one.
func (s *Store) checkMade(b Base) error {
	if s.Lock == nil || s.locked(b) {
		return nil
	}
	want, ok := s.Lock.Root(b.system())
	if !ok {
		return errNotLocked
	}
	return &ToolsError{want, b}
}

// errNotLocked is a mistake of the caller: commands look first whether the lock has all systems.
var errNotLocked = errors.New("the lock has no root of it")

func (b Base) system() lock.System { return lock.System{OS: b.OS, Platform: b.Platform} }

// locked reports whether a base is the lock's.
func (s *Store) locked(b Base) bool {
	want, ok := s.Lock.Root(b.system())
	return ok && want.Digest == b.Root.String() && want.Index == b.Lists.String()
}

// lockedStates gives a vendor's base the states of its repositories that the lock has: what they
// are now is no part of a base that is made again.
func (s *Store) lockedStates(b *Base, repositories []repository) {
	if s.Lock == nil {
		return
	}
	for _, list := range s.Lock.ListsOf(b.system()) {
		for i, r := range repositories {
			if r.state == list.Repository {
				repositories[i].sum, repositories[i].date = digest.NewDigestFromEncoded(digest.SHA256, list.SHA256), list.Date.UTC()
				b.Dates[r.state], b.Sums[r.state] = repositories[i].date, repositories[i].sum
			}
		}
	}
}

// vendorImage is what an OS starts from: what its recipe names, or by its digest what the lock has.
func (s *Store) vendorImage(o recipes.OS, platform string) string {
	if s.Lock != nil {
		if root, ok := s.Lock.Root(lock.System{OS: o.Name, Platform: platform}); ok {
			return root.Image
		}
	}
	return o.Image
}
