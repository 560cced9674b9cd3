// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// libcudaName is the SONAME that programs load.
const libcudaName = "libcuda.so.1"

// unversioned is a name that ldconfig ranks before or behind all versions of libcuda.
var unversioned = regexp.MustCompile(`^libcuda\.so\.[0-9]{2,}\.`)

// note is what the hook reads in the note of forward compatibility.
type note struct{ Driver []int }

// noteOf returns a library's note, nil where the hook finds none that it understands.
func noteOf(f *loader.File) *note {
	var n struct {
		note
		Format      int
		CUDAVersion string `json:"CUDA Version"`
		Device      []int
	}
	if f == nil || f.Note == "" || json.Unmarshal([]byte(f.Note), &n) != nil {
		return nil
	}
	return &n.note
}

// compatFiles are the versions of the regular files libcuda.so.*.* that containers see, by
// their place.
func (m *Image) compatFiles() map[string]string {
	files := map[string]string{}
	for i, facts := range m.layers.facts {
		for _, f := range facts.Code {
			if f.Compat != "" && m.layers.deletedIn(i, f.Path) == nil {
				files[m.im.Place(f.Path)] = f.Compat
			}
		}
	}
	for _, f := range m.im.Files { // hard links are there too
		if v, ok := layer.CompatVersion(f.Real); ok {
			files[f.Real] = v
		}
	}
	return files
}

// forward tells package compat which cuda-compat hooks see, and which they do not.
func (m *Image) forward() (seen []compat.Compat, aside string) {
	dir, _ := m.im.Real(compat.CompatDir)
	_, found := m.im.FindListed(dir, libcudaName, m.abi)
	for p, version := range m.compatFiles() {
		if path.Dir(p) != dir {
			continue
		}
		c := compat.Compat{Driver: version, Broken: !found}
		if n := noteOf(m.im.Lookup(p)); n != nil {
			c.Note, c.Branches = true, n.Driver
		}
		seen = append(seen, c)
	}
	for _, f := range m.im.Files {
		if aside == "" && isCompat(f) && f.SOName == libcudaName && (path.Dir(f.Real) != dir || len(seen) == 0) {
			aside = "/" + path.Dir(f.Real)
		}
	}
	slices.SortFunc(seen, func(a, b compat.Compat) int { return cmp.Compare(a.Driver, b.Driver) })
	return seen, aside
}

// hostFolders are the directories in which hosts keep libcuda: Debian's family its
// multiarch directory, the others usr/lib64, and some one of their own.
func (m *Image) hostFolders() []string {
	d := m.abi.Defaults()
	return []string{d[1], d[3], compat.FolderAside}
}

// searches is the way to libcuda.so.1 for each hook and each directory of a host; one for
// all directories where they make no difference.
func (m *Image) searches() []compat.Search {
	var all []compat.Search
	folders := m.hostFolders()
	for _, folder := range folders {
		all = append(all, compat.Search{Folder: folder, Places: m.places(m.hookedDirs(folder), folder)})
	}
	same := func(s compat.Search) bool { return slices.EqualFunc(s.Places, all[0].Places, samePlace) }
	if !slices.ContainsFunc(all, func(s compat.Search) bool { return !same(s) }) {
		all = all[:1]
		all[0].Folder = ""
	}
	folder := folders[1]
	if m.im.Debian() {
		folder = folders[0]
	}
	return append(all, compat.Search{Hook: compat.HookLegacy, Places: m.places(m.legacyDirs(folder), folder)})
}

func samePlace(a, b compat.Place) bool {
	return a.Kind == b.Kind && a.Path == b.Path && a.From == b.From
}

// hookedDirs is where the image's program, if one can be followed, or else every
// program looks after the CDI hooks.
func (m *Image) hookedDirs(folder string) []loader.Dir {
	h := loader.Hook{Folder: folder}
	if len(m.seen) > 0 {
		h.Compat, _ = m.im.Real(compat.CompatDir)
	}
	return m.im.HookedDirs(m.abi, h, m.asks)
}

// legacyDirs: libnvidia-container mounts cuda-compat into the host's directory, and has
// ldconfig take that first.
func (m *Image) legacyDirs(folder string) []loader.Dir {
	dirs := m.hookedDirs(folder)
	named := slices.IndexFunc(dirs, loader.Dir.Listed)
	if named < 0 { // musl's
		named = len(dirs)
	}
	final, _ := m.im.Real(folder)
	return append(dirs[:named:named], loader.Dir{Path: final})
}

// places cuts the way at the first libcuda.so.1 that is there whatever the hook does.
func (m *Image) places(dirs []loader.Dir, folder string) []compat.Place {
	if f, ok := m.preloadedLibcuda(); ok {
		return []compat.Place{m.own(f)}
	}
	var places []compat.Place
	final, _ := m.im.Real(folder)
	for _, d := range dirs {
		f, found := m.im.FindIn(d, libcudaName, m.abi)
		switch {
		case d.ByHook() && found:
			p := m.own(f)
			p.Kind = compat.PlaceHook
			places = append(places, p)
		case d.ByHook():
		case d.Path == final:
			if d.From == "" {
				places = append(places, compat.Place{Kind: compat.PlaceHook})
			}
			return append(places, m.hostPlace(d))
		case found:
			return append(places, m.own(f))
		}
	}
	if m.im.Musl(m.abi) { // what the host has is of no use there
		return append(places, compat.Place{Kind: compat.PlaceHost})
	}
	return append(places, compat.Place{Kind: compat.PlaceEnd})
}

// hostPlace is the host's directory with what the image has there under libcuda's SONAME:
// ldconfig links the highest version.
func (m *Image) hostPlace(d loader.Dir) compat.Place {
	f := m.im.BySOName(d.Path, libcudaName, m.abi)
	if f == nil {
		return compat.Place{Kind: compat.PlaceHost}
	}
	p := m.own(loader.Found{File: f.File, Path: f.Real, Dir: d})
	if unversioned.MatchString(f.Name) || loader.CompareNames(f.Name, "libcuda.so.100") < 0 {
		p.Kind, p.Rank = compat.PlaceHost, layer.LibraryVersion(f.Name)
	}
	return p
}

func (m *Image) own(f loader.Found) compat.Place {
	return compat.Place{Path: f.Path, From: f.Dir.From, Own: m.ofCompat(f)}
}

// ofCompat is the file in the words of package compat.
func (m *Image) ofCompat(f loader.Found) compat.Libcuda {
	if f.File == nil {
		return compat.Libcuda{Broken: true}
	}
	l := compat.Libcuda{Driver: f.File.Version, Stub: f.File.Stub, Forward: isCompat(f.File)}
	if v := layer.LibraryVersion(f.File.Real); rules.IsDriverVersion(v) {
		l.Driver = v
	}
	if n := noteOf(f.File); n != nil {
		l.Branches = n.Driver
	}
	return l
}

// Libcuda says which library wins on hosts where the hook leaves cuda-compat alone. Of
// two answers it is the one that is not the host's.
func (m *Image) Libcuda() Libcuda {
	for _, s := range m.needsSearches() {
		if p := s.Places[len(s.Places)-1]; p.Kind == compat.PlaceOwn {
			return m.winner(s, p)
		}
	}
	why := "no search path leads to another " + libcudaName + " before the host's"
	p := m.ways[0].Places[len(m.ways[0].Places)-1]
	if p.Path != "" {
		why = p.Path + " lies where the runtime hook puts the host's, and ldconfig links the higher version"
	}
	return Libcuda{Winner: HostLibcuda, Why: why + m.compatAside()}
}

// needsSearches are those of the CDI hook.
func (m *Image) needsSearches() []compat.Search { return m.ways[:len(m.ways)-1] }

func (m *Image) winner(s compat.Search, p compat.Place) Libcuda {
	why := fmt.Sprintf("%s, found through %s before the host's", describe(p.Own), p.From)
	if s.Folder != "" {
		why += ", on hosts that keep theirs in /" + s.Folder
	}
	return Libcuda{Winner: p.Path, Why: why, File: p.Own}
}

// describe says what a file at libcuda's name is.
func describe(l compat.Libcuda) string {
	switch {
	case l.Broken:
		return "no library at all (error 35)"
	case l.Stub:
		return "a link-time stub (error 34)"
	case l.Forward:
		return "the forward-compat library (error 803 on hosts with a newer driver)"
	}
	return "a driver library" + rules.OfDriver(l.Driver)
}

// compatAside mentions the forward-compat package.
func (m *Image) compatAside() string {
	switch {
	case len(m.seen) > 1:
		return fmt.Sprintf("; the hook uses none of the %d libraries in /%s: it wants exactly one", len(m.seen), compat.CompatDir)
	case len(m.seen) == 1:
		return "; the hook prefers the one in /" + compat.CompatDir + " on hosts with an older driver"
	case m.beside != "":
		return "; the hook does not use the one in " + m.beside + ": it looks for /" + compat.CompatDir + "/libcuda.so.*.* only"
	}
	return ""
}
