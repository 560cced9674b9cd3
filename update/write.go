// SPDX-License-Identifier: Apache-2.0

package update

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/files"
)

// Write writes what was found into the last of the directories of recipes, which it makes if there
// is none. It writes all files or, on an error, none: first it reads what is to be there as recipes,
// over the others. It returns the files that it has written, sorted. The error is a [*files.HeldError] if
// another process writes there.
func (f *Found) Write(dirs []string) ([]string, error) {
	if len(f.Releases)+len(f.Grown)+len(f.Filled) == 0 {
		return []string{}, nil
	}
	dir := dirs[len(dirs)-1]
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := files.TryLock(strings.TrimRight(dir, "/") + "/")
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	texts, err := f.texts(dir)
	if err == nil {
		err = f.rehearse(dirs, texts)
	}
	if err != nil {
		_ = os.Remove(dir) // which was not there, and is empty
		return nil, err
	}
	return put(dir, texts)
}

// texts are the files to write, by their names in a folder of recipes.
func (f *Found) texts(dir string) (map[string][]byte, error) {
	texts := map[string][]byte{}
	for _, r := range f.Releases {
		if _, err := os.Lstat(filepath.Join(dir, r.File)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: CUDA %s is new, but that file is there: %w", filepath.Join(dir, r.File), r.CUDA, cmp.Or(err, fs.ErrExist))
		}
		text, err := f.newToolkit(r)
		if err != nil {
			return nil, err
		}
		texts[r.File] = text
	}
	filled, grown := map[string][]Filled{}, map[string][]Grown{}
	for _, one := range f.Filled {
		filled[one.File] = append(filled[one.File], one)
	}
	for _, one := range f.Grown {
		grown[one.File] = append(grown[one.File], one)
		filled[one.File] = slices.Clip(filled[one.File])
	}
	for name := range filled {
		text, err := files.Read(filepath.Join(dir, name))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			text, err = f.fillToolkit(text, filled[name], grown[name])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		texts[name] = text
	}
	return texts, nil
}

// Existing are the directories without the last if that has no recipe yet: it may be new.
func Existing(dirs []string) []string {
	if len(dirs) == 0 {
		return nil
	}
	last := dirs[len(dirs)-1]
	if found, _ := filepath.Glob(filepath.Join(last, "*", "*.yaml")); len(found) > 0 {
		return slices.Clone(dirs)
	}
	if info, err := os.Stat(last); err == nil && !info.IsDir() {
		return slices.Clone(dirs) // recipes say what is wrong
	}
	return slices.Clone(dirs[:len(dirs)-1])
}

// put writes files into dir. If one cannot be written it puts those before it back as they were.
func put(dir string, texts map[string][]byte) (names []string, err error) {
	names = slices.Sorted(maps.Keys(texts))
	old := map[string][]byte{}
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			return nil, err
		}
		text, err := files.Read(filepath.Join(dir, name))
		if err == nil {
			old[name] = text
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for i, name := range names {
		if err := files.Write(filepath.Join(dir, name), texts[name]); err != nil {
			return nil, errors.Join(err, restore(dir, names[:i], old))
		}
	}
	for _, name := range names {
		if err := files.SyncDir(filepath.Join(dir, filepath.Dir(name))); err != nil {
			return nil, errors.Join(err, restore(dir, names, old))
		}
	}
	return names, nil
}

// restore puts files back as they were, and takes out those that were not there.
func restore(dir string, names []string, old map[string][]byte) (err error) {
	for _, name := range names {
		file := filepath.Join(dir, name)
		if text, was := old[name]; was {
			err = errors.Join(err, files.Write(file, text))
		} else {
			err = errors.Join(err, os.Remove(file))
		}
	}
	return err
}
