// SPDX-License-Identifier: Apache-2.0

package base

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/therootcompany/xz"

	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/lock"
)

// State is a base as a lock has it, and what its package lists have. The lists of a vendor's
// repositories are not kept: its index is empty.
func (s *Store) State(ctx context.Context, b Base) (root lock.Root, lists []lock.List, packages lock.Index, err error) {
	root = lock.Root{System: b.system(), Digest: b.Root.String(), Image: b.Image, Index: b.Lists.String(), Tools: b.Tools}
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
		case name != "sources.list" && !strings.HasSuffix(name, "_InRelease"):
			return nil
		}
		data, err := io.ReadAll(io.LimitReader(r, maxIndex))
		if states[strings.TrimPrefix(name, "lists/")] = data; name == "sources.list" {
			own = string(data)
		}
		return err
	})
	for _, address := range inReleases(own) {
		data := states[listName(address)]
		date, failed := parseDate(bytes.NewReader(data), address)
		err = errors.Join(err, failed)
		lists = append(lists, lock.List{System: root.System, Repository: address, Date: date.UTC(), SHA256: digest.FromBytes(data).Encoded()})
	}
	if err != nil {
		return root, nil, nil, fmt.Errorf("package lists of %s: %w", b.system(), err)
	}
	return root, lists, packages, nil
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
		into.Add(lock.Package{Name: p.Name, Arch: p.Arch, Version: p.Version, SHA256: p.SHA256})
	}
	return nil
}

// maxPackages bounds a decoded list of packages. The largest seen, Debian's main, has 55 MB.
const maxPackages = 1 << 30

// packagesAt reads what repositories have now. That they are signed nobody checks: it is for a
// message.
func (s *Store) packagesAt(ctx context.Context, src sources, platform string) (lock.Index, error) {
	have, arch := lock.Index{}, strings.TrimPrefix(platform, "linux/")
	for line := range strings.Lines(src.used) {
		fields := strings.Fields(line)
		at := slices.IndexFunc(fields, func(f string) bool { return strings.Contains(f, "://") })
		if at < 0 || at+1 >= len(fields) || fields[0] != "deb" {
			continue
		}
		for _, component := range fields[at+2:] {
			address := fmt.Sprintf("%s/dists/%s/%s/binary-%s/Packages", strings.TrimRight(fields[at], "/"), fields[at+1], component, arch)
			if err := s.addPackages(ctx, have, address); err != nil {
				return nil, err
			}
		}
	}
	return have, nil
}

// addPackages reads a list in the first form in which the repository has it.
func (s *Store) addPackages(ctx context.Context, into lock.Index, address string) error {
	var data []byte
	err := errNoFile
	for _, form := range []struct {
		suffix string
		open   func(io.Reader) (io.Reader, error)
	}{
		{".xz", func(r io.Reader) (io.Reader, error) { return xz.NewReader(r, xz.DefaultDictMax) }},
		{".gz", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	} {
		if data, err = fetchFrom(ctx, "the package repositories", address+form.suffix, s.mirror().login); errors.Is(err, errNoFile) {
			continue
		}
		var r io.Reader
		if err == nil {
			r, err = form.open(bytes.NewReader(data))
		}
		if err == nil {
			err = readPackages(into, io.LimitReader(r, maxPackages))
		}
		if err != nil {
			return fmt.Errorf("%s%s: %w", address, form.suffix, err)
		}
		return nil
	}
	return err
}
