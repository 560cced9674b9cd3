// SPDX-License-Identifier: Apache-2.0

package base

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/recipes"
)

// CheckLock returns an error if the lock's state of a system cannot be had: a root that is not in the
// store cannot be made, or packages that are locked are not in the repositories any more. Of a root that is
// there the packages may be, too, in a cache of BuildKit's: that nobody answers is then no error, and other lists
// with all packages in them are none. It makes no root of packages. What a vendor's repositories have shows
// when a step installs from them.
func (s *Store) CheckLock(ctx context.Context, r *recipes.Recipe, platform string) error {
	system := lock.System{OS: r.OS.Name, Platform: platform}
	if r.OS.Image != "" {
		_, err := s.Base(ctx, r, platform)
		return err
	}
	if known, ok := s.Known(ctx, r, platform); ok {
		return s.checkKnown(ctx, known)
	}
	by, err := s.runner(platform)
	if err != nil {
		return err
	}
	src, err := s.findSources(ctx, by, r.OS, platform)
	if err != nil {
		return fmt.Errorf("bootstrap %s: %w", r.OS.Name, err)
	}
	return s.checkSources(ctx, src, system)
}

// checkKnown looks whether the repositories still have what a root of the lock needs.
func (s *Store) checkKnown(ctx context.Context, known Base) error {
	own, err := s.ownSources(ctx, known)
	if err != nil {
		return err
	}
	src, err := s.readSources(ctx, own)
	if errors.Is(err, ErrUnreachable) {
		return nil
	}
	if err == nil {
		err = s.checkSources(ctx, src, known.system())
	}
	var moved *MovedError
	if errors.As(err, &moved) && moved.Err == nil && len(moved.Lost) == 0 {
		return nil
	}
	return err
}

// checkSources compares the lists of repositories with those of the lock, if there is one.
func (s *Store) checkSources(ctx context.Context, src sources, system lock.System) error {
	if s.Lock == nil {
		return nil
	}
	lists := s.Lock.ListsOf(system)
	if err := checkRepositories(system, lists, slices.Collect(maps.Keys(src.states))); err != nil {
		return err
	}
	moved := &MovedError{System: system, Date: s.Lock.Date(system)}
	for _, list := range lists {
		if digest.FromBytes(src.states[list.Repository]).Encoded() != list.SHA256 {
			moved.Was, moved.Now = later(moved.Was, list.Date), later(moved.Now, src.dates[list.Repository])
		}
	}
	if moved.Was.IsZero() {
		return nil
	}
	packages, names := s.Lock.PackagesOf(system), map[string]bool{}
	for _, p := range packages {
		names[p.Name] = true
	}
	moved.Packages = len(packages)
	have, err := s.packagesAt(ctx, src, system.Platform, names)
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
	return &RootError{want, b}
}

// errNotLocked is a mistake of the caller: commands look first whether the lock has all systems.
var errNotLocked = errors.New("the lock has no root of it")

func (b Base) system() lock.System { return lock.System{OS: b.OS, Platform: b.Platform} }

// locked reports whether a base is the lock's.
func (s *Store) locked(b Base) bool {
	want, ok := s.Lock.Root(b.system())
	return ok && want.Digest == b.Root.String() && want.Index == b.Lists.String()
}

// lockedStates gives the index of a vendor's base the states of its repositories that the lock has. What steps
// install from is the present one: Moved.
func (s *Store) lockedStates(b *Base, repositories []repository) error {
	if s.Lock == nil {
		return nil
	}
	lists := s.Lock.ListsOf(b.system())
	if err := checkRepositories(b.system(), lists, slices.Collect(maps.Keys(b.Dates))); err != nil {
		return err
	}
	for _, list := range lists {
		i := slices.IndexFunc(repositories, func(r repository) bool { return r.state == list.Repository })
		r := &repositories[i]
		found, was := State{r.date, r.sum}, State{list.Date.UTC(), digest.NewDigestFromEncoded(digest.SHA256, list.SHA256)}
		if found.Sum == was.Sum {
			continue
		}
		s.Log.Warn("a repository has moved since it was locked: steps install from what it has now", "os", b.OS, "repository", r.state, "locked", was.Date, "now", found.Date)
		if b.Moved == nil {
			b.Moved = map[string]State{}
		}
		b.Moved[r.state] = found
		r.date, r.sum = was.Date, was.Sum
		b.Dates[r.state], b.Sums[r.state] = was.Date, was.Sum
	}
	return nil
}

// vendorImage is what an OS starts from: what its recipe names, or by its digest what the lock has.
func (s *Store) vendorImage(o recipes.OS, platform string) string {
	if s.Lock != nil {
		root, _ := s.Lock.Root(lock.System{OS: o.Name, Platform: platform})
		return cmp.Or(root.Image, o.Image)
	}
	return o.Image
}
