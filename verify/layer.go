// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/blob"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
	"github.com/cudabuild/cudabuild/verify/internal/spool"
)

// Fixed limits of the walk over one layer. Reaching one is a finding of rule
// "unreadable", so the verdict is never "pass".
const (
	maxHits   = 10_000 // findings kept
	maxShared = 1 << 18
)

// maxSpooled bounds what is held on disk at a time, of one layer. The largest libraries have 2 GiB.
const maxSpooled = 4 << 30

// read returns the facts of one layer. Content that cannot be understood, or has another digest
// than ref says, is among the hits; the error is that of reading the blob, or of ctx.
// base is the base name that Explain asks about, "" for none.
func (v *Verifier) read(ctx context.Context, ref layerRef, base string) (*layerFacts, error) {
	var w *walker
	var wrong error
	src := blob.Source{Open: ref.layer.Compressed, Size: ref.size}
	sums, err := blob.Read(ctx, src, v.bounds(ref), func(content io.Reader) {
		w = newWalker(rules.Load(), v.opts)
		w.watch, w.left = newWatch(base), newLeft(ref.size)
		wrong = w.walk(content)
	})
	if err != nil {
		return nil, err
	}
	f := w.finish()
	if f.watched = w.watch; w.watch != nil {
		w.watch.owner = func(p string) string { return strings.TrimPrefix(w.ownedBy(p), ", package ") }
	}
	f.Size, f.Encoding, f.Digest = sums.Size, sums.Encoding, ref.digest
	switch {
	case wrong != nil:
		f.unreadable(wrong.Error())
	case sums.Digest != "" && sums.Digest != ref.digest:
		f.Digest, f.DiffID = sums.Digest, sums.DiffID
		f.unreadable(fmt.Sprintf("blob has digest %s, the manifest says %s", sums.Digest, ref.digest))
	default:
		f.DiffID = sums.DiffID
	}
	return f, nil
}

// bounds are what the blob of a layer may be.
func (v *Verifier) bounds(ref layerRef) blob.Options {
	return blob.Options{
		Trust: v.opts.TrustDigests, MaxBytes: v.opts.MaxLayerBytes, MaxRatio: v.opts.MaxRatio, MaxRatioAfter: v.opts.MaxRatioAfter,
		Acquire: func(ctx context.Context, times int) (func(), error) { return v.slots.acquire(ctx, ref.size, times) },
	}
}

// walker turns the entries of one layer into facts.
type walker struct {
	rules     *rules.Set
	opts      Options
	facts     *layerFacts
	hardLinks [][2]string    // of the layer that repeat no hit so far: name, target
	hitAt     map[string]int // path -> index of its first hit
	owners    owners
	search    collector
	heads     headCollector
	rooms
	dropped int // hits beyond the limits
	watch   *watch
	head    [sniff.Len]byte
	held    []byte // see tail
	depth   int    // how many archives this walk is inside
	within  int    // how many compressed streams
	left    *left  // of nested archives and sparse files, over all of the layer
	space   *spool.Space

	needBytes   int    // of facts.Needs
	lastPortage string // see portage
	sharedPaths int
}

func newWalker(rules *rules.Set, opts Options) *walker {
	return &walker{
		rules: rules, opts: opts, hitAt: map[string]int{}, owners: newOwners(), rooms: newRooms(), search: newCollector(), heads: newHeadCollector(),
		facts: &layerFacts{Rules: RulesVersion()}, left: newLeft(0), space: spool.NewSpace(opts.TempDir, maxSpooled),
	}
}

// walk reads content, an archive, and then what is behind it. The error describes
// content, unless reading it failed.
func (w *walker) walk(content io.Reader) error {
	if err := archive.Tar(content, w.visit); err != nil {
		return err
	}
	return archive.End(content)
}

// visit examines one entry of an archive.
func (w *walker) visit(h *tar.Header, body io.Reader) error {
	if err := w.count(); err != nil {
		return err
	}
	if err := w.entry(h, body); err != nil {
		return fmt.Errorf("archive, %q: %w", shorten(h.Name), err)
	}
	return nil
}

func (w *walker) count() error {
	if w.facts.Entries++; w.facts.Entries > w.opts.MaxEntries {
		return fmt.Errorf("archive has more than %d entries", w.opts.MaxEntries)
	}
	return nil
}

// entry records one entry. Its content is read through body, as far as needed.
func (w *walker) entry(h *tar.Header, body io.Reader) error {
	if len(h.Name) > archive.MaxName || len(h.Linkname) > archive.MaxName {
		w.unreadable(shorten(h.Name), fmt.Sprintf("name of more than %d bytes", archive.MaxName))
		return nil
	}
	if isSparse(h) {
		if err := overDecoded(&w.left.sparse, h.Size); err != nil {
			return err
		}
	}
	p := clean(h.Name)
	if w.watch.is(p) {
		return w.watch.entry(p, h, body, func(body io.Reader) error { return w.entryAt(p, h, body) })
	}
	return w.entryAt(p, h, body)
}

func (w *walker) entryAt(p string, h *tar.Header, body io.Reader) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeDir:
		w.facts.Paths.add(pathDir, p)
		w.shared(p, h)
		return nil
	case tar.TypeChar, tar.TypeBlock:
		if h.Typeflag == tar.TypeChar && h.Devmajor == 0 && h.Devminor == 0 { // overlayfs whiteout
			w.facts.Paths.add(pathWhiteout, p)
			return nil
		}
		w.facts.Paths.add(pathFile, p)
		w.device(p, h)
		return nil
	}
	if !w.whiteout(p) {
		w.facts.Paths.add(pathFile, p)
		w.shared(p, h)
		w.search.forget(p)
		w.heads.forget(p)
	} else if h.Size == 0 {
		return nil // else a tool that knows no whiteouts makes a file of it
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		w.search.link(p, h.Linkname)
		w.symlink(p, h.Linkname)
	case tar.TypeLink:
		w.search.hardLink(p, clean(h.Linkname))
		w.heads.link(p, clean(h.Linkname), h)
		w.hardLink(p, clean(h.Linkname))
	case tar.TypeFifo:
		w.file(p, h, content{})
	default:
		return w.regular(p, h, body)
	}
	return nil
}

// shared records that others than root may write to a directory or a library.
func (w *walker) shared(p string, h *tar.Header) {
	if h.Typeflag == tar.TypeSymlink || h.Uid == 0 && h.Mode&0o002 == 0 || h.Typeflag != tar.TypeDir && !strings.Contains(path.Base(p), ".so") {
		return
	}
	if w.sharedPaths++; w.sharedPaths > maxShared {
		w.search.incomplete = fmt.Sprintf("the layer has more than %d directories and libraries to which others than root may write", maxShared)
		return
	}
	w.facts.Paths.add(pathShared, p)
}

// whiteout records a whiteout and reports whether p was one. Other names that
// begin with ".wh..wh." are reserved and mean nothing. Archives inside have none.
func (w *walker) whiteout(p string) bool {
	dir, base := path.Split(p)
	name, ok := strings.CutPrefix(base, ".wh.")
	if !ok || w.depth > 0 {
		return false
	}
	switch {
	case base == ".wh..wh..opq":
		w.facts.Paths.add(pathOpaque, strings.TrimSuffix(dir, "/"))
	case !strings.HasPrefix(name, ".wh."):
		w.facts.Paths.add(pathWhiteout, dir+name)
	}
	return true
}

// finish completes the facts after the last entry.
func (w *walker) finish() *layerFacts {
	w.facts.Paths.seal()
	w.facts.Search = w.search.seal(w.facts.Paths, &w.heads)
	w.facts.Heads = w.heads.seal(w.facts.Paths)
	if w.search.size > maxSearchBytes {
		w.facts.unreadable(w.facts.Search.Incomplete)
	}
	w.resolveHardLinks()
	w.nameOwners()
	if w.dropped > 0 {
		w.facts.unreadable(fmt.Sprintf("%d more findings are not listed", w.dropped))
	}
	return w.facts
}

// hit records a finding; the first one of a path is the one that hard links repeat.
func (w *walker) hit(rule, p, detail string) {
	if len(w.facts.Hits) >= maxHits || !w.text.take(len(p)+len(detail)) {
		w.dropped++
		return
	}
	if _, ok := w.hitAt[p]; !ok && p != "" {
		w.hitAt[p] = len(w.facts.Hits)
	}
	w.facts.Hits = append(w.facts.Hits, hit{Rule: rule, Path: p, Detail: detail})
}

func (w *walker) unreadable(p, why string) { w.hit(ruleUnreadable, p, why) }

// clean roots name at the image's root: "./usr//lib/../x" is "usr/x", "" is the root.
func clean(name string) string { return path.Clean("/" + name)[1:] }

// shorten keeps a name printable in a message.
func shorten(name string) string {
	if len(name) > 200 {
		return name[:200] + "..."
	}
	return name
}
