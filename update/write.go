// SPDX-License-Identifier: Apache-2.0

package update

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cudabuild/cudabuild/recipes"
)

// Write writes what was found into the last of the directories of recipes, which it makes if there
// is none. It writes all files or, on an error, none: first it reads what is to be there as recipes,
// over the others. It returns the files that it has written, sorted.
func (f *Found) Write(dirs []string) ([]string, error) {
	texts, err := f.texts(dirs)
	if err != nil || len(texts) == 0 {
		return []string{}, err
	}
	if err := f.rehearse(dirs, texts); err != nil {
		return nil, err
	}
	dir := dirs[len(dirs)-1]
	return put(dir, texts)
}

// texts are the files to write, by their names in a folder of recipes.
func (f *Found) texts(dirs []string) (map[string][]byte, error) {
	texts := map[string][]byte{}
	for _, r := range f.Releases {
		text, err := f.newToolkit(r)
		if err != nil {
			return nil, err
		}
		texts[r.File] = text
	}
	changes := map[string][]Filled{}
	for _, filled := range f.Filled {
		changes[filled.File] = append(changes[filled.File], filled)
	}
	for name, filled := range changes {
		text, err := recipes.Text(name, dirs...)
		if err == nil {
			text, err = f.fillToolkit(text, filled)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		texts[name] = text
	}
	return texts, nil
}

// rehearse returns an error if the recipes with these files would not be what was found.
func (f *Found) rehearse(dirs []string, texts map[string][]byte) error {
	stage, err := os.MkdirTemp("", "cudabuild-recipes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	if _, err := put(stage, texts); err != nil {
		return err
	}
	c, err := recipes.Load(append(Existing(dirs), stage)...)
	if err != nil {
		return fmt.Errorf("what would be written is no recipe: %w", err)
	}
	for _, filled := range f.Filled {
		for _, component := range c.Components(filled.CUDA, filled.OS, filled.Platform) {
			if component.Pin == filled.Pin && component.Value != filled.Version {
				return fmt.Errorf("%s: pin %s would be %s for %s %s, not %s", filled.File, filled.Pin, component.Value, filled.OS, filled.Platform, filled.Version)
			}
		}
	}
	for _, r := range f.Releases {
		for _, system := range r.Systems {
			for _, component := range c.Components(r.CUDA, system.OS, system.Platform) {
				if want, ok := r.values[component.Pin][system]; ok && component.Value != want {
					return fmt.Errorf("%s: pin %s would be %s for %s %s, not %s", r.File, component.Pin, component.Value, system.OS, system.Platform, want)
				}
			}
		}
	}
	return nil
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

// put writes files into dir under other names first, which recipes do not read, and gives them their
// own when all are there.
func put(dir string, texts map[string][]byte) (names []string, err error) {
	names = slices.Sorted(maps.Keys(texts))
	fresh := func(name string) string {
		return filepath.Join(dir, filepath.Dir(name), "."+filepath.Base(name)+".new")
	}
	defer func() {
		for _, name := range names {
			if removed := os.Remove(fresh(name)); !errors.Is(removed, os.ErrNotExist) && err == nil {
				err = removed
			}
		}
	}()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(fresh(name), texts[name], 0o644); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if err := os.Rename(fresh(name), filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return names, nil
}
