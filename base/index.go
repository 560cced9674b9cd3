// SPDX-License-Identifier: Apache-2.0

package base

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/lock"
)

// State is a base as a lock has it, and what its package lists have. The lists of a vendor's
// repositories are not kept: its index is empty.
func (s *Store) State(ctx context.Context, b Base) (root lock.Root, lists []lock.List, packages lock.Index, err error) {
	root = lock.Root{System: b.system(), Digest: b.Root.String(), Image: b.Image, Index: b.Lists.String(), Read: b.Read, Tools: b.Tools}
	packages = lock.Index{}
	for _, address := range slices.Sorted(maps.Keys(b.Sums)) {
		lists = append(lists, lock.List{System: root.System, Repository: address, Date: b.Dates[address].UTC(), SHA256: b.Sums[address].Encoded()})
	}
	if len(b.Sums) > 0 {
		return root, lists, packages, nil
	}
	var own string
	states := map[string][]byte{}
	err = s.readIndex(ctx, b, func(name string, r io.Reader) error {
		switch {
		case strings.HasSuffix(name, "_Packages"):
			return readPackages(packages, r)
		case name != sourcesList && !strings.HasSuffix(name, "_InRelease"):
			return nil
		}
		data, err := readAll(r)
		if states[strings.TrimPrefix(name, "lists/")] = data; name == sourcesList {
			own = string(data)
		}
		return err
	})
	for _, address := range inReleases(own) {
		if err != nil {
			break
		}
		var date time.Time
		data := states[listName(address)]
		date, err = parseDate(bytes.NewReader(data), address)
		lists = append(lists, lock.List{System: root.System, Repository: address, Date: date.UTC(), SHA256: digest.FromBytes(data).Encoded()})
	}
	if err != nil {
		return root, nil, nil, fmt.Errorf("package lists of %s: %w", b.system(), err)
	}
	return root, lists, packages, nil
}

// sourcesList is the file of an index that names the repositories.
const sourcesList = "sources.list"

// ownSources is that file of a distribution's base.
func (s *Store) ownSources(ctx context.Context, b Base) (own string, err error) {
	err = s.readIndex(ctx, b, func(name string, r io.Reader) error {
		if name != sourcesList {
			return nil
		}
		data, err := readAll(r)
		own = string(data)
		return err
	})
	return own, err
}

// readAll reads a small file of an index.
func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxState+1))
	if err == nil && len(data) > maxState {
		err = fmt.Errorf("more than %d bytes", maxState)
	}
	return data, err
}

// readIndex gives a function each file of a base's index.
func (s *Store) readIndex(ctx context.Context, b Base, each func(name string, r io.Reader) error) error {
	var manifest ocispec.Manifest
	if err := s.readJSON(ctx, b.Lists, &manifest); err != nil {
		return err
	}
	if len(manifest.Layers) != 1 {
		return fmt.Errorf("an index of %d layers, want 1", len(manifest.Layers))
	}
	blob, err := s.content.ReaderAt(ctx, manifest.Layers[0])
	if err != nil {
		return err
	}
	defer blob.Close()
	zr, err := zstd.NewReader(content.NewReader(blob))
	if err != nil {
		return err
	}
	defer zr.Close()
	for tr := tar.NewReader(zr); ; {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(header.Name, tr); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func readPackages(into lock.Index, r io.Reader) error {
	for p, err := range pkgindex.Deb(r) {
		if err != nil {
			return err
		}
		into.Add(locked(p))
	}
	return nil
}

// packagesAt reads what repositories have now of the packages with these names, by the states of src.
// Whether those are signed it does not ask: it is for a message.
func (s *Store) packagesAt(ctx context.Context, src sources, platform string, names map[string]bool) (lock.Index, error) {
	have := lock.Index{}
	addresses := inReleases(src.own)
	for i, suite := range s.mirror().suites(src.own) {
		err := suite.Repository(platform, nil, time.Time{}).ReadLists(ctx, s.Fetch, suite.URL+"/InRelease", src.states[addresses[i]], func(p pkgindex.Package) {
			if names[p.Name] {
				have.Add(locked(p))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return have, nil
}

func locked(p pkgindex.Package) lock.Package {
	return lock.Package{Name: p.Name, Arch: p.Arch, Version: p.Version, SHA256: p.SHA256}
}
