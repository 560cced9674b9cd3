// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/blob"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// read returns the facts of one layer. Content that cannot be understood, or has another digest
// than ref says, is among the hits; the error is that of reading the blob, or of ctx.
// base is the base name that Explain asks about, "" for none.
func (r *Reader) read(ctx context.Context, ref Ref, base string) (*Facts, error) {
	var f *Facts
	var wrong error
	src := blob.Source{Open: ref.Layer.Compressed, Size: ref.Size}
	sums, err := blob.Read(ctx, src, r.bounds(ref), func(content io.Reader) {
		f, wrong = Walk(content, r.opts, ref.Size, base)
	})
	if err != nil {
		return nil, err
	}
	f.Size, f.Encoding, f.Digest = sums.Size, sums.Encoding, ref.Digest
	switch {
	case wrong != nil:
		f.unreadable(wrong.Error())
	case sums.Digest != "" && sums.Digest != ref.Digest:
		f.Digest, f.DiffID = sums.Digest, sums.DiffID
		f.unreadable(fmt.Sprintf("blob has digest %s, the manifest says %s", sums.Digest, ref.Digest))
	default:
		f.DiffID = sums.DiffID
	}
	return f, nil
}

// Walk returns the facts of an archive and of what is behind it, as those of a blob of size bytes, 0 if
// that is not known. The error describes content, unless reading it failed. base is as for read.
func Walk(content io.Reader, o Options, size int64, base string) (*Facts, error) {
	w := newWalker(o, newBudget(o, size))
	w.recorder = newRecorder(base)
	err := archive.Tar(content, w.visit)
	if err == nil {
		err = archive.End(content)
	}
	f := w.finish()
	f.Listed = w.inventory.seal(w.budget.listed.over())
	if f.Seen = w.recorder; f.Seen != nil {
		f.Seen.Owner = func(p string) string { return strings.TrimPrefix(w.ownedBy(p), ", package ") }
	}
	return f, err
}

// bounds are what the blob of a layer may be.
func (r *Reader) bounds(ref Ref) blob.Options {
	return blob.Options{
		Trust: r.opts.TrustDigests, MaxBytes: r.opts.MaxLayerBytes, MaxRatio: r.opts.MaxRatio, MaxRatioAfter: r.opts.MaxRatioAfter,
		Acquire: func(ctx context.Context, times int) (func(), error) { return r.slots.acquire(ctx, ref.Size, times) },
	}
}

// walker goes through the entries of one layer, and of the archives in it, and tells a builder of each.
type walker struct {
	*builder
	opts   Options
	head   [sniff.Len]byte
	held   []byte // see tail
	depth  int    // how many archives this walk is inside
	within int    // how many compressed streams
}

func newWalker(opts Options, b budget) *walker {
	return &walker{builder: newBuilder(opts, b), opts: opts}
}

// visit examines one entry of an archive. In one inside the layer, a file that cannot be read to its end is
// judged by its name.
func (w *walker) visit(h *tar.Header, body io.Reader) error {
	if err := w.count(); err != nil {
		return err
	}
	if err := w.entry(h, body); err != nil {
		if w.depth > 0 && (h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeGNUSparse) {
			w.name(h.Name, false)
		}
		return fmt.Errorf("archive, %q: %w", shorten(h.Name), err)
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
		if !w.budget.sparse.spend(h.Size) {
			return errDecoded
		}
	}
	p := Clean(h.Name)
	if w.recorder.is(p) {
		return w.recorder.entry(p, h, body, func(body io.Reader) error { return w.entryAt(p, h, body) })
	}
	return w.entryAt(p, h, body)
}

func (w *walker) entryAt(p string, h *tar.Header, body io.Reader) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeDir:
		w.facts.Paths.add(KindDir, p)
		w.shared(p, h)
		return nil
	case tar.TypeChar, tar.TypeBlock:
		if h.Typeflag == tar.TypeChar && h.Devmajor == 0 && h.Devminor == 0 { // overlayfs whiteout
			w.facts.Paths.add(KindWhiteout, p)
			return nil
		}
		w.facts.Paths.add(KindFile, p)
		w.device(p, h)
		return nil
	}
	if !w.whiteout(p) {
		w.facts.Paths.add(KindFile, p)
		w.shared(p, h)
		w.linker.forget(p)
		w.executables.forget(p)
	} else if h.Size == 0 {
		return nil // else a tool that knows no whiteouts makes a file of it
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		w.linker.link(p, h.Linkname)
		w.symlink(p, h.Linkname)
		w.textLink(p, h.Linkname)
	case tar.TypeLink:
		w.linker.hardLink(p, Clean(h.Linkname))
		w.executables.link(p, Clean(h.Linkname), h)
		w.hardLink(p, Clean(h.Linkname))
	case tar.TypeFifo:
		w.file(p, h, content{})
	default:
		return w.regular(p, h, body)
	}
	return nil
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
		w.facts.Paths.add(KindOpaque, strings.TrimSuffix(dir, "/"))
	case !strings.HasPrefix(name, ".wh."):
		w.facts.Paths.add(KindWhiteout, dir+name)
	}
	return true
}

// Clean roots name at the image's root: "./usr//lib/../x" is "usr/x", "" is the root.
func Clean(name string) string { return path.Clean("/" + name)[1:] }

// shorten keeps a name printable in a message.
func shorten(name string) string {
	if len(name) > 200 {
		return name[:200] + "..."
	}
	return name
}
