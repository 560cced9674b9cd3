// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
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

// regular examines a regular file by content and name. A record is read as one.
func (w *walker) regular(p string, h *tar.Header, body io.Reader) error {
	head := w.head[:min(sniff.Len, h.Size)]
	if _, err := io.ReadFull(body, head); err != nil {
		return err
	}
	body = io.MultiReader(bytes.NewReader(head), body)
	w.ambiguous(p, head)
	w.heads.file(p, h, head)
	if isLinkerConfig(p, head, h.Size) {
		var err error
		if body, err = w.search.linkerConfig(p, body); err != nil {
			return err
		}
	}
	var c content
	k := sniff.Of(head)
	end := archive.NewTail(body, k, h.Size, w.held, w.space)
	defer end.Close()
	isRecord, err := w.record(p, k == sniff.Other && !bytes.HasPrefix(head, []byte("\x7fELF")), head, h, end)
	switch {
	case isRecord || err != nil:
		c = content{size: h.Size, notELF: true}
	case k == sniff.Other:
		c, err = w.examine(p, h, end)
	case k == sniff.Object:
		c, err = w.listen(k, h, end)
	case k == sniff.Zip: // below
		c = content{size: h.Size, notELF: true}
	case k == sniff.Script:
		c, k, err = w.script(p, h, end)
	default:
		c, err = w.nested(p, k, h, end)
	}
	if err == nil {
		err = w.zipAt(p, k, end)
	}
	if err != nil {
		return err
	}
	if c.elf != nil {
		w.search.object(p, c, w.isStubFile(c.elf))
	}
	if v, ok := compatVersion(p); ok {
		w.need(gpuNeed{Path: p, Compat: v})
	}
	w.file(p, h, c)
	return nil
}

// ambiguous notes a file that loads as a program and unpacks as an archive: it is examined as a program.
func (w *walker) ambiguous(p string, head []byte) {
	if sniff.IsELF(head) && sniff.IsTar(head) {
		w.unreadable(p, "an ELF file and a tar archive at the same time")
	}
}

// file judges one file by content and name.
func (w *walker) file(p string, h *tar.Header, c content) {
	w.watch.content(p, c)
	named, version := w.rules.libraryNamed(path.Base(p))
	if named != nil && named.Target != "" { // only a link of that name matters
		named = nil
	}
	lib, evidence := w.identify(c, named)
	empty := isEmpty(h, c)
	switch {
	case lib != nil && empty:
		w.hit(ruleMountPoint, p, "empty file at the name of "+lib.label()+ofDriver(version))
	case lib != nil:
		w.library(p, lib, c, evidence, version)
	case w.path(p, h, c):
	case c.said.path != nil:
		w.hit(c.said.path.rule.ID, p, c.said.path.rule.noun()+ofDriver(cmp.Or(versionOf(p), c.said.version))+" (by "+byText+")")
	}
}

// isEmpty reports whether a file is a mount point by its look.
func isEmpty(h *tar.Header, c content) bool { return c.size == 0 && h.Typeflag != tar.TypeFifo }

// library judges a file that is, or calls itself, a library of the driver.
func (w *walker) library(p string, lib *library, c content, evidence []string, version string) {
	if !driverVersion.MatchString(version) {
		version = c.said.version
	}
	by := fmt.Sprintf("%s%s (by %s)", lib.label(), ofDriver(version), strings.Join(evidence, ", "))
	stub := lib.isStub(c.elf)
	switch {
	case inStubs(p) && (stub || c.elf == nil):
		return
	case stub && !isNamed(evidence): // nothing that looks for the driver finds it
		return
	case stub:
		w.hit(ruleStubMisplaced, p, "stub of "+by)
	case lib.Compat && forHook(p):
		w.hit(ruleForwardCompat, p, by+c.said.compatNote())
	case lib.Compat && condaCompat.MatchString(p):
		w.hit(ruleCondaCompat, p, by+c.said.compatNote())
	case isForeign(lib, c.elf, evidence, version):
		w.hit(ruleProvider, p, "exports the interface of "+lib.label())
	default:
		w.hit(lib.rule.ID, p, by+c.said.compatNote())
	}
}

// isNamed reports whether a file or its SONAME has the name under which programs and
// the dynamic linker look for the driver's library.
func isNamed(evidence []string) bool {
	return slices.Contains(evidence, byName) || slices.Contains(evidence, bySOName)
}

// isForeign reports whether a library has the interface of lib and nothing that
// only NVIDIA's own has: a shim, a translator, a mock. A name with a driver's version
// is not what those have.
func isForeign(lib *library, elf *dynelf.Info, evidence []string, version string) bool {
	return len(lib.Proof) > 0 && slices.Contains(evidence, byExports) && !anyOf(lib.Proof, elf.Found) && !driverVersion.MatchString(version)
}

// How a library was recognised.
const (
	byName    = "file name"
	bySOName  = "SONAME"
	byExports = "exports"
	byNeeded  = "its dependencies"
	byText    = "text in it"
)

// identify reports which library of the driver a file is and what says so. Exports
// win over the SONAME, that over the file name, and text counts if nothing else does;
// but of two libraries whose exports the file has, it is the one that it calls itself.
func (w *walker) identify(c content, named *library) (*library, []string) {
	var evidence []string
	found, elf := named, c.elf
	if named != nil {
		evidence = append(evidence, byName)
	}
	if elf == nil {
		return found, evidence
	}
	if l, _ := w.rules.libraryNamed(path.Base(elf.SOName)); l != nil && l.Target == "" {
		found, evidence = l, append(evidence, bySOName)
	}
	if l := w.rules.exporting(elf); l != nil {
		if found == nil || !found.exportedBy(elf) {
			found = l
		}
		evidence = append(evidence, byExports)
	}
	if found == nil {
		if found = w.rules.depending(elf); found != nil {
			evidence = append(evidence, byNeeded)
		}
	}
	if found == nil && c.said.lib != nil {
		found, evidence = c.said.lib, append(evidence, byText)
	}
	return found, evidence
}

// exporting returns the library whose exports the file has: the one that asks for most.
func (s *ruleSet) exporting(elf *dynelf.Info) *library {
	var best *library
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
func (l *library) exportedBy(elf *dynelf.Info) bool {
	return len(l.Exports) > 0 && allOf(l.Exports, elf.Found) && (l.Needed == "" || needs(elf, l.Needed))
}

// depending returns the library class that is known by its dependencies alone.
func (s *ruleSet) depending(elf *dynelf.Info) *library {
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

// isStub reports whether a file has the library's interface and too little code to be the
// driver's own: a link-time stub, or a helper that opens the driver at the first call.
func (l *library) isStub(elf *dynelf.Info) bool {
	return l.Stub && elf != nil && elf.ExecBytes < l.Code<<10
}

// inStubs reports whether p lies in a directory for link-time stubs, under the
// name that linkers look for: the name with a version is for programs that run.
func inStubs(p string) bool {
	return strings.Contains("/"+path.Dir(p)+"/", "/stubs/") && strings.HasSuffix(p, ".so")
}

// path judges a file by its path and reports whether a rule is about it.
func (w *walker) path(p string, h *tar.Header, c content) bool {
	for i := range w.rules.words {
		g := &w.rules.words[i]
		if !strings.Contains(p, g.word) {
			continue
		}
		for _, pattern := range g.patterns {
			if w.matchPath(pattern, p, h, c) {
				return true
			}
		}
	}
	return false
}

func (w *walker) matchPath(pattern pathPattern, p string, h *tar.Header, c content) bool {
	m := pattern.re.FindStringSubmatch(p)
	if m == nil {
		return false
	}
	version := cmp.Or(versionOf(p), c.said.version)
	if isEmpty(h, c) && pattern.at < 0 {
		if !pattern.mounted(p) {
			return false
		}
		w.hit(ruleMountPoint, p, "empty file in the place of "+pattern.rule.noun()+ofDriver(version))
		return true
	}
	if !pattern.fits(p, h, c) {
		return false
	}
	if pattern.at < 0 {
		w.hit(pattern.rule.ID, p, pattern.rule.noun()+ofDriver(version))
		return true
	}
	group := m[pattern.at]
	if _, ok := w.hitAt[group]; !ok {
		w.hit(pattern.rule.ID, group, pattern.rule.noun()+ofDriver(version))
	}
	if at, ok := w.hitAt[group]; ok && w.text.take(len(p)) {
		w.hitAt[p] = at // a hard link to the file repeats the finding
	}
	return true
}

// groupOf returns the path under which p is part of a finding, "" if it would be one
// of its own.
func (s *ruleSet) groupOf(p string) string {
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
func (pattern *pathPattern) fits(p string, h *tar.Header, c content) bool {
	switch pattern.kind {
	case "device":
		return h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock
	case "firmware":
		return !c.notELF
	case "program":
		return !c.notELF && (inBin(p) || h.Typeflag == tar.TypeSymlink || h.Mode&0o111 != 0)
	}
	return true
}

// mounted reports whether the runtime hook mounts such a file at p, as far as the
// pattern leaves it open.
func (pattern *pathPattern) mounted(p string) bool {
	switch pattern.kind {
	case "firmware":
		return strings.Contains("/"+p, "/firmware/")
	case "program":
		return inBin(p) || strings.Contains("/"+path.Dir(p)+"/", "/nvidia/") // Debian has them in usr/lib/nvidia/current
	}
	return true
}

func inBin(p string) bool {
	dir := path.Base(path.Dir(p))
	return dir == "bin" || dir == "sbin"
}

// noun is the rule's id as words: "driver firmware".
func (r *Rule) noun() string { return strings.ReplaceAll(r.ID, "-", " ") }

// device judges a device node by path, then by number.
func (w *walker) device(p string, h *tar.Header) {
	if !w.path(p, h, content{size: 1}) && h.Typeflag == tar.TypeChar && h.Devmajor == nvidiaMajor {
		w.hit("device-node", p, fmt.Sprintf("character device %d:%d", h.Devmajor, h.Devminor))
	}
}

// ofDriver says which driver a version number means, "" if it is not a driver's.
func ofDriver(version string) string {
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
