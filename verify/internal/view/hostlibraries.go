// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// HostLibrary is a library of the driver that files of the image ask for by name.
type HostLibrary struct {
	Name string // "libcuda.so.1"
	By   string // the path of the first file that does
}

// hostLibraries lists those of the files that count, sorted by name, never nil. The
// driver's own files never count.
func (m *Image) hostLibraries(counts func(path string) bool) []HostLibrary {
	list, seen := []HostLibrary{}, map[string]bool{}
	for _, f := range m.im.Files {
		if isDriverFile(f) || !counts(f.Path) {
			continue
		}
		for _, name := range f.Needed {
			if lib, _ := rules.Load().LibraryNamed(path.Base(name)); lib != nil && !seen[name] {
				seen[name] = true
				list = append(list, HostLibrary{name, f.Path})
			}
		}
	}
	slices.SortFunc(list, func(a, b HostLibrary) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func isDriverFile(f *loader.File) bool { return driverNamed(f) != nil }

// driverNamed returns the library of the driver that a file calls itself, nil if none.
func driverNamed(f *loader.File) *rules.Library {
	for _, name := range []string{f.SOName, f.Real} {
		if lib, _ := rules.Load().LibraryNamed(path.Base(name)); lib != nil {
			return lib
		}
	}
	return nil
}

// leak says which driver library of the image CUDA may load in place of the host's, ""
// if there is none: what lies where no search path leads, and what has nothing to do
// with CUDA, decides nothing. Of libcuda only what a file's own path leads to counts:
// which of the others comes first is known for each host.
func (m *Image) leak() string {
	common, own := map[string]bool{}, map[string]bool{}
	for _, d := range m.im.Dirs(m.abi) {
		common[d.Path] = true
	}
	for _, f := range m.im.Files {
		for _, d := range m.im.OwnDirs(f) {
			own[d.Path] = true
		}
	}
	for _, f := range m.im.Files {
		lib, dir := driverNamed(f), path.Dir(f.Real)
		if lib == nil || !lib.CUDA || f.ABI != m.abi || f.Stub || isCompat(f) {
			continue
		}
		if own[dir] || common[dir] && lib.Stem != "libcuda" {
			return fmt.Sprintf("the image holds driver content, which may be loaded in place of the host's: %s", f.Path)
		}
	}
	return ""
}
