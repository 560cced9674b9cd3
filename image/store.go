// SPDX-License-Identifier: Apache-2.0

// Package image finds, keeps and hands over images.
//
// [Open] finds images behind a reference in any of skopeo's transports: a registry,
// an OCI layout, an archive. [Store] is an OCI layout that one process writes: blobs
// are shared by all its images, its index names only images that were tagged, and
// both are whole at every moment; [Layout] reads one without a lock. The package judges
// no image and builds none.
package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/files"
)

// FullNameAnnotation holds the full name of an image in an OCI layout's index, as
// containerd and BuildKit write it.
const FullNameAnnotation = "io.containerd.image.name"

// BusyError is returned by [OpenStore] when another process writes the layout.
type BusyError struct {
	Dir string
	PID int // 0 if unknown
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("image folder %s is in use by pid %d", e.Dir, e.PID)
}

// Hint is how to get out of each other's way.
func (e *BusyError) Hint() string {
	return "wait for that run to end, or choose another --state-dir and --out"
}

// Store is an OCI layout that this process alone writes, as long as it is open.
// Blobs are shared by all images; the index names only images that were tagged.
type Store struct {
	Layout

	content content.Store
	lock    *files.Lock
	opened  time.Time

	mu      sync.Mutex // guards what follows
	stamps  map[digest.Digest]stamp
	stamped bool // stamps are not saved yet
	full    bool // a blob found no room
}

// OpenStore opens the layout in dir, which is created if missing, and clears away
// what an interrupted run had only begun to write. The error is a [*BusyError] if
// another process has it open.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := files.TryLock(filepath.Join(dir, ".lock"))
	if held, is := errors.AsType[*files.HeldError](err); is {
		return nil, &BusyError{Dir: dir, PID: held.PID}
	}
	if err != nil {
		return nil, err
	}
	s := &Store{Layout: Layout{dir}, lock: lock, opened: time.Now()}
	if err := s.prepare(); err != nil {
		lock.Unlock()
		return nil, err
	}
	return s, nil
}

func (s *Store) prepare() (err error) {
	if err := errors.Join(s.lock.Sign(), s.DropUnfinished(), s.sweep()); err != nil {
		return err
	}
	if s.content, err = local.NewStore(s.dir); err != nil {
		return err
	}
	s.loadStamps()
	if err := os.MkdirAll(filepath.Join(s.dir, ocispec.ImageBlobsDir), 0o755); err != nil { // there even if empty, says the layout's specification
		return err
	}
	if _, err := os.Stat(filepath.Join(s.dir, ocispec.ImageIndexFile)); errors.Is(err, fs.ErrNotExist) {
		return s.writeIndex(nil)
	}
	if _, err = s.Entries(); err != nil {
		return err
	}
	return s.writeLayout()
}

// Close lets other processes write the layout.
func (s *Store) Close() error {
	s.saveStamps()
	defer s.lock.Unlock()
	return s.DropUnfinished()
}

// DropUnfinished removes blobs that were only begun, which may be what fills the disk.
// Nothing can be written afterwards but the index. A writer whose connection has broken may
// not have noticed yet: it is given a second.
func (s *Store) DropUnfinished() error {
	for tries := 100; ; tries-- {
		err := os.RemoveAll(filepath.Join(s.dir, "ingest"))
		if !errors.Is(err, unix.ENOTEMPTY) || tries == 0 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// parts is what the folder of a layout of ours holds.
var parts = []string{".builds.json", ".lock", ".stamps.json", ocispec.ImageBlobsDir, ocispec.ImageIndexFile, "ingest", ocispec.ImageLayoutFile}

// Part reports whether a file or folder of that name, in the folder of a layout, is one of
// those that a [Store] makes there.
func Part(name string) bool { return slices.Contains(parts, name) || temporary(name) }

// temporary reports whether it is one that is gone again when it has done its work:
// containerd tries on one what the file system can do.
func temporary(name string) bool {
	return fsverity.MatchString(name) || slices.ContainsFunc(parts, func(part string) bool { return files.Unfinished(name, part) })
}

var fsverity = regexp.MustCompile(`^\.fsverity-check-[0-9]+$`)

// sweep removes what a killed run had begun.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		if temporary(e.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, e.Name())))
		}
	}
	return err
}

// Content is the layout's blobs. One object serves all writers of a run, because
// its locks are the only thing that keeps two writers of a blob apart.
func (s *Store) Content() content.Store { return s.content }

// Tag makes the index name an image by each of fullNames, in place of those that had
// the names before: by all of them or, after an error, by none. Where nothing changes,
// nothing is written. The tag is the part of a full name after the last colon, and other
// tools know an image of a layout by that alone: an image of another repository loses it.
func (s *Store) Tag(desc ocispec.Descriptor, fullNames ...string) error {
	entries, err := s.Entries()
	if err != nil {
		return err
	}
	changed := false
	for _, name := range fullNames {
		desc.Annotations = names(name)
		others := slices.DeleteFunc(slices.Clone(entries), func(e ocispec.Descriptor) bool { return named(e, tagOf(name)) || named(e, name) })
		settled := len(others) == len(entries)-1 && slices.ContainsFunc(entries, func(e ocispec.Descriptor) bool {
			return e.Digest == desc.Digest && maps.Equal(e.Annotations, desc.Annotations)
		})
		if !settled {
			entries, changed = append(others, desc), true
		}
	}
	if !changed {
		return nil
	}
	return s.writeIndex(entries)
}

// Keep makes the index name an image by its digest alone.
func (s *Store) Keep(desc ocispec.Descriptor) error {
	entries, err := s.Entries()
	if err != nil {
		return err
	}
	desc.Annotations = nil
	entries = slices.DeleteFunc(entries, func(e ocispec.Descriptor) bool { return e.Digest == desc.Digest })
	return s.writeIndex(append(entries, desc))
}

func (s *Store) writeIndex(entries []ocispec.Descriptor) error {
	slices.SortStableFunc(entries, func(a, b ocispec.Descriptor) int {
		return strings.Compare(a.Annotations[FullNameAnnotation], b.Annotations[FullNameAnnotation])
	})
	index, err := json.MarshalIndent(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: append([]ocispec.Descriptor{}, entries...),
	}, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(s.writeLayout(), files.Write(filepath.Join(s.dir, ocispec.ImageIndexFile), index))
}

// writeLayout writes the file by which other tools know a layout, if it is missing.
func (s *Store) writeLayout() error {
	path := filepath.Join(s.dir, ocispec.ImageLayoutFile)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	layout, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	return files.Write(path, layout)
}
