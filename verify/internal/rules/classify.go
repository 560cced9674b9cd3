// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"archive/tar"
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
)

// nvidiaMajor is the character device number that belongs to NVIDIA
// (Documentation/admin-guide/devices.txt of Linux).
const nvidiaMajor = 195

var (
	// compatDir is also that of the HPC SDK, opt/nvidia/hpc_sdk/.../cuda/12.3/compat, and of Arch.
	compatDir     = regexp.MustCompile(`^(usr/local/cuda[^/]*|(.+/)?cuda(-[0-9.]+)?(/[0-9]+\.[0-9]+)?)/compat/`)
	orinCompat    = regexp.MustCompile(`^usr/local/cuda[^/]*/compat_orin/`)
	condaCompat   = regexp.MustCompile(`^(.+/)?cuda-compat/[^/]+$`)
	driverVersion = regexp.MustCompile(`^[0-9]{3}\.[0-9]{2,3}(\.[0-9]{2})?$`)
	versionInPath = regexp.MustCompile(`(?:^|[/.-])([0-9]{3}\.[0-9]{2,3}(?:\.[0-9]{2})?)(?:[/.-]|$)`)
)

// File is what is known of one file.
type File struct {
	Path   string
	Type   byte // as in a tar header
	Mode   int64
	Empty  bool         // a mount point by its look
	ELF    *dynelf.Info // nil if it is no dynamic ELF file
	NotELF bool         // its first bytes say so
	Texts  Texts
}

// Finding is what a file is. Path is that of the file, or of what it is part of.
type Finding struct{ Rule, Path, Detail string }

// Classify tells what a file of the driver is, nothing for others.
func (s *Set) Classify(f File) []Finding {
	named, version := s.LibraryNamed(path.Base(f.Path))
	if named != nil && named.Target != "" { // only a link of that name matters
		named = nil
	}
	lib, evidence := s.Identify(f, named)
	if lib != nil && f.Empty {
		return []Finding{{MountPoint, f.Path, "empty file at the name of " + lib.label() + OfDriver(version)}}
	}
	if lib != nil {
		return f.library(lib, evidence, version)
	}
	if found, ok := s.path(f); ok {
		return []Finding{found}
	}
	if row := f.Texts.Path; row != nil {
		return []Finding{{row.rule.ID, f.Path, row.rule.noun() + OfDriver(cmp.Or(versionOf(f.Path), f.Texts.Version)) + " (by " + byText + ")"}}
	}
	return nil
}

// Library judges a file that is, or calls itself, a Library of the driver.
func (f File) library(lib *Library, evidence []string, version string) []Finding {
	if !driverVersion.MatchString(version) {
		version = f.Texts.Version
	}
	p, elf := f.Path, f.ELF
	by := fmt.Sprintf("%s%s (by %s)", lib.label(), OfDriver(version), strings.Join(evidence, ", "))
	stub := lib.IsStub(elf)
	switch {
	case InStubs(p) && (stub || elf == nil):
		return nil
	case stub && !isNamed(evidence): // nothing that looks for the driver finds it
		return nil
	case stub:
		return []Finding{{StubMisplaced, p, "stub of " + by}}
	case lib.Compat && ForHook(p):
		return []Finding{{ForwardCompat, p, by + f.Texts.compatNote()}}
	case lib.Compat && condaCompat.MatchString(p):
		return []Finding{{CondaCompat, p, by + f.Texts.compatNote()}}
	case isForeign(lib, elf, evidence, version):
		return []Finding{{Provider, p, "exports the interface of " + lib.label()}}
	}
	return []Finding{{lib.Rule.ID, p, by + f.Texts.compatNote()}}
}

// isNamed reports whether a file or its SONAME has the name under which programs and
// the dynamic linker look for the driver's library.
func isNamed(evidence []string) bool {
	return slices.Contains(evidence, byName) || slices.Contains(evidence, bySOName)
}

// isForeign reports whether a Library has the interface of lib and nothing that
// only NVIDIA's own has: a shim, a translator, a mock. A name with a driver's version
// is not what those have.
func isForeign(lib *Library, elf *dynelf.Info, evidence []string, version string) bool {
	return len(lib.Proof) > 0 && slices.Contains(evidence, byExports) && !anyOf(lib.Proof, elf.Found) && !driverVersion.MatchString(version)
}

// How a Library was recognised.
const (
	byName    = "file name"
	bySOName  = "SONAME"
	byExports = "exports"
	byNeeded  = "its dependencies"
	byText    = "text in it"
)

// Identify reports which Library of the driver a file is and what says so. Exports
// win over the SONAME, that over the file name, and text counts if nothing else does;
// but of two libraries whose exports the file has, it is the one that it calls itself.
func (s *Set) Identify(f File, named *Library) (*Library, []string) {
	var evidence []string
	found, elf := named, f.ELF
	if named != nil {
		evidence = append(evidence, byName)
	}
	if elf == nil {
		return found, evidence
	}
	if l, _ := s.LibraryNamed(path.Base(elf.SOName)); l != nil && l.Target == "" {
		found, evidence = l, append(evidence, bySOName)
	}
	if l := s.Exporting(elf); l != nil {
		if found == nil || !found.exportedBy(elf) {
			found = l
		}
		evidence = append(evidence, byExports)
	}
	if found == nil {
		if found = s.depending(elf); found != nil {
			evidence = append(evidence, byNeeded)
		}
	}
	if found == nil && f.Texts.Lib != nil {
		found, evidence = f.Texts.Lib, append(evidence, byText)
	}
	return found, evidence
}

// Exporting returns the Library whose exports the file has: the one that asks for most.
func (s *Set) Exporting(elf *dynelf.Info) *Library {
	var best *Library
	for _, l := range s.libraries {
		if best != nil && len(best.Exports) >= len(l.Exports) {
			continue
		}
		if l.exportedBy(elf) {
			best = l
		}
	}
	return best
}

// exportedBy reports whether a file has the library's exports.
func (l *Library) exportedBy(elf *dynelf.Info) bool {
	return len(l.Exports) > 0 && allOf(l.Exports, elf.Found) && (l.Needed == "" || needs(elf, l.Needed))
}

// depending returns the Library class that is known by its dependencies alone.
func (s *Set) depending(elf *dynelf.Info) *Library {
	for _, l := range s.libraries {
		if l.Stem == "" && len(l.Exports) == 0 && l.Needed != "" && needs(elf, l.Needed) {
			return l
		}
	}
	return nil
}

func needs(elf *dynelf.Info, prefix string) bool {
	return slices.ContainsFunc(elf.Needed, func(n string) bool { return strings.HasPrefix(n, prefix) })
}

// IsStub reports whether a file has the library's interface and too little code to be the
// driver's own: a link-time stub, or a helper that opens the driver at the first call.
func (l *Library) IsStub(elf *dynelf.Info) bool {
	return l.Stub && elf != nil && elf.ExecBytes < l.Code<<10
}

// InStubs reports whether p lies in a directory for link-time stubs, under the
// name that linkers look for: the name with a version is for programs that run.
func InStubs(p string) bool {
	return strings.Contains("/"+path.Dir(p)+"/", "/stubs/") && strings.HasSuffix(p, ".so")
}

// path tells what a file is by its path.
func (s *Set) path(f File) (found Finding, ok bool) {
	for i := range s.words {
		g := &s.words[i]
		if !strings.Contains(f.Path, g.word) {
			continue
		}
		for _, pattern := range g.patterns {
			if found, ok := pattern.match(f); ok {
				return found, true
			}
		}
	}
	return Finding{}, false
}

func (pattern *PathPattern) match(f File) (found Finding, ok bool) {
	m := pattern.re.FindStringSubmatch(f.Path)
	if m == nil {
		return Finding{}, false
	}
	version := cmp.Or(versionOf(f.Path), f.Texts.Version)
	detail := pattern.rule.noun() + OfDriver(version)
	switch {
	case f.Empty && pattern.at < 0:
		return Finding{MountPoint, f.Path, "empty file in the place of " + detail}, pattern.mounted(f.Path)
	case !pattern.fits(f):
		return Finding{}, false
	case pattern.at < 0:
		return Finding{pattern.rule.ID, f.Path, detail}, true
	}
	return Finding{pattern.rule.ID, m[pattern.at], detail}, true
}

// LinkRule returns the rule that a symbolic link at p breaks by its path, "" if none.
func (s *Set) LinkRule(p string) string {
	if found, ok := s.path(File{Path: p, Type: tar.TypeSymlink}); ok && found.Path == p {
		return found.Rule
	}
	return ""
}

// Device judges a device node by path, then by number.
func (s *Set) Device(p string, h *tar.Header) []Finding {
	if found, ok := s.path(File{Path: p, Type: h.Typeflag, Mode: h.Mode}); ok {
		return []Finding{found}
	}
	if h.Typeflag == tar.TypeChar && h.Devmajor == nvidiaMajor {
		return []Finding{{DeviceNode, p, fmt.Sprintf("character device %d:%d", h.Devmajor, h.Devminor)}}
	}
	return nil
}

// GroupOf returns the path under which p is part of a finding, "" if it would be one
// of its own.
func (s *Set) GroupOf(p string) string {
	for _, g := range s.words {
		if !strings.Contains(p, g.word) {
			continue
		}
		for _, pattern := range g.patterns {
			if pattern.at < 0 {
				continue
			}
			if m := pattern.re.FindStringSubmatch(p); m != nil {
				return m[pattern.at]
			}
		}
	}
	return ""
}

// fits reports whether a file at a name of the pattern is of its type: a mock of a
// program is a script, and its manual page is not executable.
func (pattern *PathPattern) fits(f File) bool {
	switch pattern.kind {
	case "device":
		return f.Type == tar.TypeChar || f.Type == tar.TypeBlock
	case "firmware":
		return !f.NotELF
	case "program":
		return !f.NotELF && (InBin(f.Path) || f.Type == tar.TypeSymlink || f.Mode&0o111 != 0)
	}
	return true
}

// mounted reports whether the runtime hook mounts such a file at p, as far as the
// pattern leaves it open.
func (pattern *PathPattern) mounted(p string) bool {
	switch pattern.kind {
	case "firmware":
		return strings.Contains("/"+p, "/firmware/")
	case "program":
		return InBin(p) || strings.Contains("/"+path.Dir(p)+"/", "/nvidia/") // Debian has them in usr/lib/nvidia/current
	}
	return true
}

// InBin reports whether a file lies in a folder for programs.
func InBin(p string) bool {
	dir := path.Base(path.Dir(p))
	return dir == "bin" || dir == "sbin"
}

// noun is the rule's id as words: "driver firmware".
func (r *Rule) noun() string { return strings.ReplaceAll(r.ID, "-", " ") }

// IsDriverVersion reports whether a version has the form of a driver's.
func IsDriverVersion(v string) bool { return driverVersion.MatchString(v) }

// OfDriver says which driver a version number means, "" if it is not a driver's.
func OfDriver(version string) string {
	if driverVersion.MatchString(version) {
		return " of driver " + version
	}
	return ""
}

func versionOf(p string) string {
	if m := versionInPath.FindStringSubmatch(p); m != nil {
		return m[1]
	}
	return ""
}

func allOf(names []string, found map[string]bool) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !found[n] })
}

func anyOf(names []string, found map[string]bool) bool {
	return slices.ContainsFunc(names, func(n string) bool { return found[n] })
}

// InCompat reports whether p is a place of the forward-compatibility package.
func InCompat(p string) bool {
	return strings.Contains(p, "compat") && (ForHook(p) || condaCompat.MatchString(p))
}

// ForHook reports whether p is one of the places where the runtime hook may look for it.
func ForHook(p string) bool { return compatDir.MatchString(p) || orinCompat.MatchString(p) }

// IsDriver reports whether a file is a Library of the driver by what it says itself, and
// not one that only has the driver's interface.
func (s *Set) IsDriver(elf dynelf.Info) bool {
	if lib, _ := s.LibraryNamed(path.Base(elf.SOName)); lib != nil {
		return true
	}
	lib := s.Exporting(&elf)
	return lib != nil && !lib.IsStub(&elf) && !isForeign(lib, &elf, []string{byExports}, "")
}

// IsStubFile reports whether an ELF file is a stub of a driver Library, by its contents
// alone: a link may give it any name.
func (s *Set) IsStubFile(elf *dynelf.Info) bool {
	lib, _ := s.Identify(File{ELF: elf}, nil)
	return lib != nil && lib.IsStub(elf)
}
