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

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
)

// stateParts is what a run makes below the state directory and can make again.
// lockFile stays: whoever waits for it has it open.
// builds.json is from before it moved to the images.
var stateParts = []string{"engine", "engine.log", "buildkitd.toml", "bases", "cache-export", "facts", "builds.json", "gpu"}

const lockFile = "lock"

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
	if foreign, err := foreignIn(dir, ofState); err != nil || len(foreign) > 0 {
		return err
	}
	return files.Write(filepath.Join(dir, ownTag), []byte(ownTagText))
}

func owned(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, ownTag))
	return err == nil && string(data) == ownTagText
}

// ofState reports whether something in a state directory is of cudabuild.
func ofState(name string) bool {
	return name == lockFile || name == ownTag || slices.Contains(stateParts, name) || temporary(name)
}

// temporary reports whether it is something that a killed run had begun to write.
func temporary(name string) bool { return files.Unfinished(name, ownTag) || engine.Probe(name) }

// foreignIn returns the names of what is in dir and not known.
func foreignIn(dir string, known func(string) bool) (foreign []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !known(e.Name()) {
			foreign = append(foreign, e.Name())
		}
	}
	return foreign, err
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

// failedImages is the layout of failed images, to be removed as a whole; what else is
// there keeps it.
func (w *workspace) failedImages() ([]folder, []left, error) {
	dir := filepath.Join(w.out, "failed")
	foreign, err := foreignIn(dir, image.Part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil || len(foreign) > 0 {
		return nil, leaveAll(dir, foreign), err
	}
	found, err := measure(dir)
	return found, nil, err
}

// state is all that runs have left in the state directory, and what is there besides.
func (w *workspace) state() (folders []folder, others []left, err error) {
	entries, err := os.ReadDir(w.stateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, e := range entries {
		path := filepath.Join(w.stateDir, e.Name())
		switch {
		case !ofState(e.Name()):
			others = append(others, left{path, notMade})
		case e.Name() != lockFile && e.Name() != ownTag:
			found, err := measure(path)
			if err != nil {
				return nil, nil, err
			}
			folders = append(folders, found...)
		}
	}
	if len(folders) > 0 && !owned(w.stateDir) {
		return nil, nil, notOurs(w.stateDir, "no "+ownTag+" of cudabuild")
	}
	return folders, others, nil
}

// left is something that prune does not remove, and why.
type left struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

const notMade = "cudabuild has not made it"

func leaveAll(dir string, names []string) (all []left) {
	for _, name := range names {
		all = append(all, left{filepath.Join(dir, name), notMade})
	}
	return all
}

func notOurs(dir, holds string) error {
	return &exitError{
		code: exitUsage,
		err:  fmt.Errorf("%s was not made by cudabuild alone: it holds %s", dir, holds),
		hint: "look at what is there, and remove by hand what is to go; --state-dir and --out name other folders",
	}
}
