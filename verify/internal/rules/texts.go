// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bytes"
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
)

// Texts is what the bytes of a file say about it, beside its symbols.
type Texts struct {
	Lib     *Library     // of which all texts were found, nil if none
	Path    *PathPattern // the same for other rules
	Version string       // of the driver, "" if unknown
	Note    string       // of forward compatibility: JSON, "" if there is none
}

// textRow is one row of the rules that tells by texts: all must be in the file.
type textRow struct {
	texts []string
	lib   *Library
	path  *PathPattern
}

// textAnchors is what the first text of every row for libraries and programs
// contains: one pass over a file looks for these, and most files have none.
var textAnchors = []string{"nvidia", "NVIDIA"}

// Texts looks into an ELF file for what its symbols do not tell. Most files have
// nothing to do with the driver and cost one search.
func (s *Set) Texts(p string, f dynelf.File, elf *dynelf.Info) Texts {
	t := s.textsIn(f.Parts)
	named, version := s.LibraryNamed(path.Base(p))
	lib, _ := s.Identify(File{ELF: elf, Texts: t}, named)
	if lib == nil && t.Path == nil {
		return t
	}
	if !driverVersion.MatchString(version) {
		t.Version = cmp.Or(versionNeeded(elf.Needed), versionIn(f.Parts))
	}
	if lib != nil && lib.Compat {
		t.Note = compatNote(f)
	}
	return t
}

// textsIn returns the first rows of which all texts are in the parts.
func (s *Set) textsIn(parts []dynelf.Part) Texts {
	var found Texts
	for _, row := range s.anchored(parts) {
		rest := row.texts[1:]
		if slices.ContainsFunc(rest, func(t string) bool { return !InParts(parts, t) }) {
			continue
		}
		found.Lib, found.Path = cmp.Or(found.Lib, row.lib), cmp.Or(found.Path, row.path)
	}
	return found
}

// anchored returns the rows of which the first text is in the parts.
func (s *Set) anchored(parts []dynelf.Part) []*textRow {
	seen := make([]bool, len(s.texts))
	for _, part := range parts {
		for _, anchor := range textAnchors {
			for at := 0; ; at++ {
				next := bytes.Index(part.Data[at:], []byte(anchor))
				if next < 0 {
					break
				}
				at += next
				s.markAt(part.Data, at, anchor, seen)
			}
		}
	}
	var rows []*textRow
	for i := range s.texts {
		if seen[i] {
			rows = append(rows, &s.texts[i])
		}
	}
	return rows
}

// markAt marks the rows of which the first text stands around the anchor at data[at].
func (s *Set) markAt(data []byte, at int, anchor string, seen []bool) {
	for i := range s.texts {
		text := s.texts[i].texts[0]
		in := strings.Index(text, anchor)
		if in >= 0 && at >= in && !seen[i] && len(data)-(at-in) >= len(text) && string(data[at-in:at-in+len(text)]) == text {
			seen[i] = true
		}
	}
}

// InParts reports whether a text is in one of the parts of a file.
func InParts(parts []dynelf.Part, text string) bool {
	return slices.ContainsFunc(parts, func(p dynelf.Part) bool { return bytes.Contains(p.Data, []byte(text)) })
}

// versionNeeded returns the driver version that a dependency carries in its name,
// as libnvidia-glcore.so.550.54.15 does.
func versionNeeded(needed []string) string {
	for _, n := range needed {
		_, version, _ := strings.Cut(n, ".so.")
		if strings.Contains(n, "nvidia") && driverVersion.MatchString(version) {
			return version
		}
	}
	return ""
}

// idText is how a part of NVIDIA's drivers names itself, where it does: not with an escape, as here.
var idText = regexp.MustCompile(`nvidia id:\x20NVIDIA [A-Za-z0-9_ -]{1,60}?  ([0-9]{3}\.[0-9]{2,3}(?:\.[0-9]{2})?)  `)

// branchText is the build path of NVIDIA's own tree: .../gpu_drv/r550/r550_00-204/...
var branchText = regexp.MustCompile(`/gpu_drv/r([0-9]{3})/`)

// versionIn returns the driver version that stands in a driver's file. A file also
// names other versions that it works with, older ones: the highest is its own, and the
// branch in a build path overrules that.
func versionIn(parts []dynelf.Part) string {
	var best, branch string
	for _, p := range parts {
		if m := idText.FindSubmatch(p.Data); m != nil {
			return string(m[1])
		}
		if m := branchText.FindSubmatch(p.Data); m != nil {
			branch = string(m[1])
		}
	}
	for _, p := range parts {
		eachVersion(p.Data, func(v string) {
			if strings.HasPrefix(v, branch) && (best == "" || compat.Compare(v, best) > 0) {
				best = v
			}
		})
	}
	return best
}

// eachVersion calls each for what has the form of a driver version of three parts,
// 550.54.15 or 418.226.00, and stands alone. Regular expressions take seconds for this.
func eachVersion(data []byte, each func(string)) {
	for at := 0; ; at++ {
		dot := bytes.IndexByte(data[at:], '.')
		if dot < 0 {
			return
		}
		at += dot
		if at < 3 || !isDigits(data[at-3:at]) || at > 3 && inVersion(data[at-4]) {
			continue
		}
		end := at + 1
		for end < len(data) && end < at+len(".226.00") && inVersion(data[end]) {
			end++
		}
		if v := data[at-3 : end]; len(v) > len("550.54.1") && (end == len(data) || !inVersion(data[end])) && driverVersion.Match(v) {
			each(string(v))
		}
	}
}

func isDigits(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c < '0' || c > '9' })
}

// inVersion reports whether c next to a version makes it another word.
func inVersion(c byte) bool {
	return c == '.' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
