// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/cudabuild/cudabuild/image"
)

// stateParts is what a run makes below the state directory and can make again.
// lockFile stays: whoever waits for it has it open.
// builds.json is from before it moved to the images.
var stateParts = []string{"engine", "engine.log", "buildkitd.toml", "bases", "facts", "builds.json", "gpu"}

const lockFile = "lock"

// layoutParts is what an OCI layout of ours consists of.
var layoutParts = []string{".builds.json", ".lock", ".stamps.json", "blobs", "index.json", "ingest", "oci-layout"}

// ownTag marks a state directory as cudabuild's own, so that prune --all may empty
// it. Backup programs know the same file as that of a cache (bford.info/cachedir).
const ownTag = "CACHEDIR.TAG"

const ownTagText = `Signature: 8a477f597d28d172789f06886806bc55
# State of cudabuild: what is here can be made again. 'cudabuild prune --all' empties it.
`

// claim marks a state directory that holds nothing but what runs leave. One that held
// other things before works as well, but prune --all will not touch it.
func claim(dir string) error {
	if owned(dir) {
		return nil
	}
	if foreign, err := foreignIn(dir, append([]string{lockFile}, stateParts...)); err != nil || foreign != "" {
		return err
	}
	return image.WriteFile(filepath.Join(dir, ownTag), []byte(ownTagText))
}

func owned(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, ownTag))
	return err == nil && string(data) == ownTagText
}

// foreignIn returns the name of something in dir that is none of those, "" if there
// is nothing.
func foreignIn(dir string, known []string) (string, error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) {
			return e.Name(), err
		}
	}
	return "", err
}

// folder is a file or folder that prune removes as a whole.
type folder struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"` // that go free
}

// measure returns the folder at path, nothing if there is none. A file that has another
// name elsewhere does not go free: blobs are linked between engine and images.
func measure(path string) ([]folder, error) {
	found := folder{Path: path}
	err := filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Nlink == 1 {
			found.Bytes += info.Size()
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return []folder{found}, err
}

// failedImages is the layout of failed images, to be removed as a whole.
func (w *workspace) failedImages() ([]folder, error) {
	dir := filepath.Join(w.out, "failed")
	foreign, err := foreignIn(dir, layoutParts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if foreign != "" {
		err = notOurs(dir, foreign)
	}
	if err != nil {
		return nil, err
	}
	return measure(dir)
}

// state is all that runs have left in the state directory.
func (w *workspace) state() ([]folder, error) {
	var folders []folder
	for _, name := range stateParts {
		found, err := measure(filepath.Join(w.stateDir, name))
		if err != nil {
			return nil, err
		}
		folders = append(folders, found...)
	}
	if len(folders) > 0 && !owned(w.stateDir) {
		return nil, notOurs(w.stateDir, "no "+ownTag+" of cudabuild")
	}
	return folders, nil
}

func notOurs(dir, holds string) error {
	return &exitError{
		code: exitUsage,
		err:  fmt.Errorf("%s was not made by cudabuild alone: it holds %s", dir, holds),
		hint: "look at what is there, and remove by hand what is to go; --state-dir and --out name other folders",
	}
}
