// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// symlink keeps a link at a driver's name. What it means depends on whether its
// target exists in the image, which is seen when the layers are put together.
func (b *builder) symlink(p, target string) {
	resolved := LinkTarget(p, target)
	lib, _ := b.rules.LibraryNamed(path.Base(p))
	if lib != nil && lib.Target != "" && !strings.Contains(target, lib.Target) {
		lib = nil
	}
	if lib != nil {
		b.keepLink(Link{Rule: lib.Rule.ID, Path: p, Target: resolved, Stub: lib.Stub, Compat: lib.Compat})
		return
	}
	if rule := b.rules.LinkRule(p); rule != "" {
		b.keepLink(Link{Rule: rule, Path: p, Target: resolved})
		return
	}
	if lib, version := b.rules.LibraryNamed(path.Base(resolved)); lib != nil && branched.MatchString(version) {
		b.keepLink(Link{Rule: lib.Rule.ID, Path: p, Target: resolved, Aside: true})
	}
}

// branched is how the versions of drivers begin, Jetson's too.
var branched = regexp.MustCompile(`^[3-9][0-9]{2}\.[0-9]`)

// LinkTarget returns the path that a symbolic link at p leads to.
func LinkTarget(p, target string) string {
	if path.IsAbs(target) {
		return Clean(target)
	}
	return Clean(path.Dir(p) + "/" + target)
}

func (b *builder) keepLink(l Link) {
	if len(b.facts.Links) >= maxHits || !b.budget.text.keep(2*len(l.Path)+len(l.Target)) {
		b.dropped++
		return
	}
	b.facts.Links = append(b.facts.Links, l)
}

// hardLink repeats the finding of the target, which stands before it in an archive
// that can be extracted. Else the name is judged, and the link kept to the end of
// the layer, when what the layer holds is known. A link that is too much to keep is
// no loss to the verdict: its target is a finding of its own.
func (b *builder) hardLink(p, target string) {
	if pkgdb.IsPlace(p) && !pkgdb.IsPlace(target) && b.budget.hard.keep(len(p)+len(target)) {
		b.facts.Records = append(b.facts.Records, Link{Path: p, Target: target})
	}
	if b.repeat(p, target) {
		return
	}
	b.file(p, &tar.Header{Typeflag: tar.TypeLink, Mode: 0o755}, content{size: 1})
	if b.budget.hard.keep(len(p) + len(target)) {
		b.hardLinks = append(b.hardLinks, [2]string{p, target})
	}
}

// repeat records for p what was found at target.
func (b *builder) repeat(p, target string) bool {
	i, ok := b.hitAt[target]
	if ok {
		b.hit(b.facts.Hits[i].Rule, p, "hard link to "+target+": "+b.facts.Hits[i].Detail)
	}
	return ok
}

// resolveHardLinks keeps the links to lower layers.
func (b *builder) resolveHardLinks() {
	for _, l := range b.hardLinks {
		_, judged := b.hitAt[l[0]]
		if !judged && b.repeat(l[0], l[1]) || b.facts.Paths.Has(KindFile, l[1]) {
			continue
		}
		b.facts.Hard = append(b.facts.Hard, Link{Path: l[0], Target: l[1], Judged: judged})
	}
	b.hardLinks = nil
}

// Hit turns a link into a finding; ok is false if it is harmless. exists reports whether the image
// has a path, and found whether there is a link at a driver's name, or a finding.
func (l Link) Hit(exists, found func(p string) bool) (h Hit, ok bool) {
	h = Hit{Rule: l.Rule, Path: l.Path, Detail: "link to " + l.Target + rules.OfDriver(LibraryVersion(l.Target))}
	switch {
	case rules.Load().Severity(l.Rule) == rules.SeverityFail && !exists(l.Target):
		h.Rule, h.Detail = rules.MountPoint, "dangling "+h.Detail
	case l.Aside: // the target is judged where it is
		return h, false
	case l.Rule == rules.DriverProgram && !slices.ContainsFunc(MergedNames(l.Target), found):
		return h, false // some other file stands in for the driver's program
	case l.Stub && rules.InStubs(l.Target):
		h.Rule, h.Detail = rules.StubMisplaced, "link to the stub "+l.Target
		return h, !rules.InStubs(l.Path)
	case l.Compat && rules.InCompat(l.Path):
		return h, false
	}
	h.Detail += l.Owner
	return h, true
}

// MergedNames returns the paths that are one with a merged /usr.
func MergedNames(p string) []string { return []string{p, "usr/" + p, strings.TrimPrefix(p, "usr/")} }

// LibraryVersion returns what follows ".so." in a file name.
func LibraryVersion(p string) string {
	_, version := rules.Load().LibraryNamed(path.Base(p))
	return version
}
