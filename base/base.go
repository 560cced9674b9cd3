// SPDX-License-Identifier: Apache-2.0

// Package base makes root file systems out of a distribution's own packages,
// so that images need no registry to start from, and resolves the references of those that
// do start from a vendor's image, which BuildKit pulls.
//
// [Store.Base] returns the root file system of an OS as an OCI image, and beside
// it the package lists (the index) that were current when it was made. Build steps
// install from that index, so every layer of an OS comes from one state of its
// repositories, and a digest names that state. For a vendor's image the index holds
// the signing keys of its repositories, checked against their pins, and which state
// they had (docs/sources.md). Roots are kept in the store and
// made again only when they are missing, or with [Store.Refresh] when the
// repositories have moved.
//
// The same state of the repositories gives the same digests: mmdebstrap runs with
// SOURCE_DATE_EPOCH set to the date of the newest index, and nothing of the machine that
// it runs on, or of a mirror, is left in the root. That is this machine, or where it cannot
// ([Here]), another that runs steps ([Elsewhere]).
package base

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/recipes"
)

// Base is an OS for one platform: its root file system, and two images of the store.
type Base struct {
	OS       string `json:"os"`
	Platform string `json:"platform"`
	// Recipe is a digest of all that was asked for, Sources of the repositories used.
	Recipe digest.Digest `json:"recipe"`
	Root   digest.Digest `json:"root"` // manifest of the root file system
	// Image is where the root can be pulled, by digest; "" if it was made here and the
	// store has all of it.
	Image string        `json:"image,omitempty"`
	Lists digest.Digest `json:"index"` // manifest of a tree with sources.list and lists/
	// Dates is the date of each repository index used, by its address without a mirror.
	Dates map[string]time.Time `json:"dates"`
	// Sums are the sums of the same files, of a vendor's repositories only.
	Sums map[string]digest.Digest `json:"sums,omitempty"`
	// Moved are the states that a vendor's repositories were found in when this was made for a lock, of
	// those that have moved since: the steps install from these. Dates and Sums are then the lock's.
	Moved map[string]State `json:"moved,omitempty"`
	// Read is when the lists were read, zero if nobody has noted it: a mirror by date has them then.
	Read time.Time `json:"read,omitzero"`
	// Epoch is the newest of Dates: the date of everything made from them.
	Epoch time.Time `json:"epoch"`
	// Tools are the versions of what made it; nil if it was not made here, or by an earlier cudabuild.
	Tools map[string]string `json:"tools,omitempty"`
}

// State is the state of a repository: date and sum of the file that names all others by their sums.
type State struct {
	Date time.Time     `json:"date"`
	Sum  digest.Digest `json:"sha256,omitempty"` // "" of a distribution's own
}

// Found is the state that a repository was found in, by its address in Dates.
func (b Base) Found(address string) State {
	if moved, ok := b.Moved[address]; ok {
		return moved
	}
	return State{b.Dates[address], b.Sums[address]}
}

// Store keeps bootstrapped roots in a folder. It is not safe for use by two
// processes at once; the owner of the state directory holds the lock.
type Store struct {
	// Refresh makes Base look whether the repositories have moved.
	Refresh bool
	// Mirror, if set, is in place of the distribution's own repositories while building
	// ([CheckMirror] says what it may be). It is where packages come from, not what they
	// are: no image keeps it, and another one makes no other base.
	Mirror string
	// Lock, if set, has the roots that Base returns: those and no others.
	Lock *lock.Lock
	// Logins are for a Mirror whose address has none.
	Logins Logins
	// Settings are those of this machine's apt (proxy, CA) while it bootstraps here.
	Settings []byte
	// Elsewhere makes roots where this machine cannot; nil if nothing does.
	Elsewhere Elsewhere
	Log       *slog.Logger

	dir     string
	content content.Store
}

// Open opens the store in dir, which is created if missing, and clears away what a
// killed run had only begun.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir) // mmdebstrap and its hooks have other current folders
	if err != nil {
		return nil, fmt.Errorf("bootstrap store: %w", err)
	}
	for _, pattern := range []string{"ingest", "make-*", ".*.json.*"} { // of a run that was killed
		leftovers, _ := fs.Glob(os.DirFS(dir), pattern) // dir is no pattern
		for _, name := range leftovers {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return nil, fmt.Errorf("bootstrap store: %w", err)
			}
		}
	}
	c, err := local.NewStore(dir)
	if err != nil {
		return nil, fmt.Errorf("bootstrap store: %w", err)
	}
	return &Store{dir: dir, content: c, Log: slog.New(slog.DiscardHandler)}, nil
}

// Content is where the images of every Base lie.
func (s *Store) Content() content.Store { return s.content }

// Base returns the root of that OS, made anew if it is missing or, with Refresh, if
// the repositories have moved. Only to make one of packages it needs root and mmdebstrap,
// or Elsewhere; the error matches [ErrUnavailable] where they are missing, and
// [ErrUnreachable] if a repository does not answer.
func (s *Store) Base(ctx context.Context, r *recipes.Recipe, platform string) (Base, error) {
	o := r.OS
	known, ok := s.Known(ctx, r, platform)
	if ok && !s.Refresh {
		return known, nil
	}
	if o.Image != "" {
		made, err := s.fromImage(ctx, r, platform)
		if err != nil {
			return Base{}, fmt.Errorf("base of %s: %w", o.Name, err)
		}
		if err := s.checkMade(made); err != nil {
			return Base{}, err
		}
		made.Recipe = recipeDigest(r, platform)
		return made, s.save(made)
	}
	by, err := s.runner(platform)
	if err != nil {
		return Base{}, err
	}
	src, err := s.findSources(ctx, by, o, platform)
	if err != nil {
		return Base{}, fmt.Errorf("bootstrap %s: %w", o.Name, err)
	}
	if ok && src.sameDates(known.Dates) {
		return known, nil
	}
	if err := s.checkSources(ctx, src, lock.System{OS: o.Name, Platform: platform}); err != nil {
		return Base{}, err
	}
	read := s.moment(lock.System{OS: o.Name, Platform: platform})
	made, err := s.make(ctx, by, bootstrap{o, platform, src})
	if err != nil {
		return Base{}, fmt.Errorf("bootstrap %s: %w", o.Name, err)
	}
	if err := s.checkMade(made); err != nil {
		return Base{}, err
	}
	made.Recipe, made.Read = recipeDigest(r, platform), read
	return made, s.save(made)
}

// moment is when lists that are read now can be had of a mirror by date: now, or the date of the mirror
// that they are read from. Those of a lock are no others than then.
func (s *Store) moment(system lock.System) time.Time {
	if s.Lock != nil {
		root, _ := s.Lock.Root(system)
		return root.Read
	}
	if date := byDate.FindString(s.Mirror); date != "" {
		if t, err := time.Parse(lock.DateFormat, strings.Trim(date, "/")); err == nil {
			return t
		}
	}
	return time.Now().UTC().Truncate(time.Second)
}

// runner is what makes roots for a platform: this machine if it can, else another.
func (s *Store) runner(platform string) (runner, error) {
	err := Here(platform)
	switch {
	case err == nil:
		return here{s.dir, s.Settings}, nil
	case s.Elsewhere != nil:
		return there{s.Elsewhere, s.dir, s.Refresh}, nil
	}
	return nil, err
}

// Config returns the image configuration of a base's root file system. Its history has
// a line for every layer, which not every image in a registry has.
func (s *Store) Config(ctx context.Context, b Base) (ocispec.Image, error) {
	var manifest ocispec.Manifest
	var config ocispec.Image
	if err := s.readJSON(ctx, b.Root, &manifest); err != nil {
		return config, err
	}
	if err := s.readJSON(ctx, manifest.Config.Digest, &config); err != nil {
		return config, err
	}
	layers := 0
	for _, line := range config.History {
		if !line.EmptyLayer {
			layers++
		}
	}
	if want := len(config.RootFS.DiffIDs); layers != want {
		config.History = slices.Repeat([]ocispec.History{{Created: config.Created, CreatedBy: "layer of " + b.Root.String()}}, want)
	}
	return config, nil
}

// recipeDigest covers the form of the root too: raise the number when make changes.
func recipeDigest(r *recipes.Recipe, platform string) digest.Digest {
	o := r.OS
	if o.Image != "" {
		return addressDigest(o, r.Addresses(platform), platform)
	}
	const form = 3
	data, _ := json.Marshal([]any{form, o.Bootstrap.Suite, o.Bootstrap.Components, platform})
	return digest.FromBytes(data)
}
