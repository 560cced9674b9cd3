// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"fmt"
	"path"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// maxHits bounds the findings that are kept of one archive. Reaching it is a finding of rule
// "unreadable", so the verdict is never "pass".
const maxHits = 10_000

// builder makes the facts of a layer, or of an archive in it, from what a walker meets. It decides what
// is kept; it knows nothing of how entries are come by.
type builder struct {
	rules       *rules.Set
	facts       *Facts
	hardLinks   [][2]string    // of the layer that repeat no hit so far: name, target
	hitAt       map[string]int // path -> index of its first hit
	owners      owners
	linker      linkerCollector
	executables executableCollector
	budget      budget
	inventory   Inventory
	dropped     int // hits beyond the limits
	recorder    *Recorder
	maxEntries  int
	lastPortage string // see portage
}

func newBuilder(opts Options, left budget) *builder {
	b := &builder{
		rules: rules.Load(), facts: &Facts{Version: opts.Version}, hitAt: map[string]int{}, owners: newOwners(), budget: left, maxEntries: opts.MaxEntries,
	}
	b.linker, b.executables = newLinkerCollector(&b.budget.linker, &b.budget.tables), newExecutableCollector(&b.budget.lines)
	return b
}

// count notes an entry.
func (b *builder) count() error {
	if b.facts.Entries++; !b.budget.entries.spend(1) {
		return entriesError(b.maxEntries)
	}
	return nil
}

// file judges one file by content and name.
func (b *builder) file(p string, h *tar.Header, c content) {
	b.recorder.content(p, c)
	for _, f := range b.rules.Classify(c.file(p, h)) {
		b.found(f, p)
	}
}

// found records a finding about the file at p, once for all files that have part in it.
func (b *builder) found(f rules.Finding, p string) {
	if _, known := b.hitAt[f.Path]; !known || f.Path == p {
		b.hit(f.Rule, f.Path, f.Detail)
	}
	if at, ok := b.hitAt[f.Path]; ok && f.Path != p && b.budget.text.keep(len(p)) {
		b.hitAt[p] = at // a hard link to the file repeats the finding
	}
}

// name judges a name of which the content is not looked at, but may be known to be too
// small for a program.
func (b *builder) name(name string, small bool) {
	if len(name) <= archive.MaxName {
		b.file(Clean(name), &tar.Header{Typeflag: tar.TypeReg, Mode: 0o755}, content{size: 1, notELF: small})
	}
}

// device judges a device node by path, then by number.
func (b *builder) device(p string, h *tar.Header) {
	for _, f := range b.rules.Device(p, h) {
		b.found(f, p)
	}
}

// shared records that others than root may write to a directory or a library.
func (b *builder) shared(p string, h *tar.Header) {
	if h.Typeflag == tar.TypeSymlink || h.Uid == 0 && h.Mode&0o002 == 0 || h.Typeflag != tar.TypeDir && !strings.Contains(path.Base(p), ".so") {
		return
	}
	if !b.budget.writable.spend(1) {
		b.linker.incomplete = fmt.Sprintf("the layer has more than %d directories and libraries to which others than root may write", maxShared)
		return
	}
	b.facts.Paths.add(KindShared, p)
}

// hit records a finding; the first one of a path is the one that hard links repeat.
func (b *builder) hit(rule, p, detail string) {
	if len(b.facts.Hits) >= maxHits || !b.budget.text.keep(len(p)+len(detail)) {
		b.dropped++
		return
	}
	if _, ok := b.hitAt[p]; !ok && p != "" {
		b.hitAt[p] = len(b.facts.Hits)
	}
	b.facts.Hits = append(b.facts.Hits, Hit{Rule: rule, Path: p, Detail: detail})
}

func (b *builder) unreadable(p, why string) { b.hit(rules.Unreadable, p, why) }

// finish completes the facts after the last entry.
func (b *builder) finish() *Facts {
	b.facts.Paths.seal()
	b.facts.Linker = b.linker.seal(b.facts.Paths, &b.executables)
	b.facts.Executables = b.executables.seal(b.facts.Paths)
	if b.budget.linker.over() {
		b.facts.unreadable(b.facts.Linker.Incomplete)
	}
	b.resolveHardLinks()
	b.nameOwners()
	if b.dropped > 0 {
		b.facts.unreadable(fmt.Sprintf("%d more findings are not listed", b.dropped))
	}
	return b.facts
}
