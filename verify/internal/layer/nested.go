// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/codec"
	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// Limits of archives inside a layer. Reaching one is a finding of rule "unreadable".
const (
	maxNesting = 4        // archives in archives
	maxDict    = 64 << 20 // dictionary of an xz stream (xz -9), window of a zstd frame
	innerDict  = 8 << 20  // the same of one inside another (xz -6, zstd up to -19)
	maxUnsized = 48 << 20 // bytes of an ELF file that is compressed by itself
)

// InArchive stands between the path of an archive and the path inside it.
const InArchive = "!/"

// kernelModule is a compressed file that is decoded in any case: it is small, and
// the way modules are installed.
var kernelModule = regexp.MustCompile(`\.ko\.(xz|zst|gz)$`)

// nested looks into an archive at p: at what it says about itself and lists cheaply in
// any case, at all of its content with Options.Nested. Of a compressed file it returns
// what the one file in it is.
//
// The error is that of what holds the archive. An archive that makes no sense is a
// finding only where its content was asked for, one too deep in others or with too many entries always is.
func (w *walker) nested(p string, k sniff.Kind, h *tar.Header, body io.Reader) (content, error) {
	c := content{size: h.Size, notELF: true}
	cheap := k == sniff.Tar || k == sniff.Ar || k == sniff.RPM
	if !cheap && !w.opts.Nested && !kernelModule.MatchString(p) {
		return c, nil
	}
	counted := &readers.Counter{R: body}
	inner := w.inner()
	var err error
	switch {
	case inner.depth > maxNesting:
		err = errDeep
	case k.Compressed():
		c.elf, c.texts, err = inner.decompressed(k, counted)
	default:
		err = inner.unpack(k, counted)
	}
	w.adopt(p, inner.finish())
	if counted.Err != nil {
		return c, counted.Err
	}
	_, tooMany := errors.AsType[entriesError](err)
	if err != nil && (w.opts.Nested || inner.depth > maxNesting || tooMany) {
		w.unreadable(p, fmt.Sprintf("nested archive: %v", err))
	}
	return c, nil
}

// inner returns the walker of an archive that this one has come upon.
func (w *walker) inner() *walker {
	inner := newWalker(w.opts, w.budget.inner())
	inner.depth, inner.within = w.depth+1, w.within
	return inner
}

// unpack examines what an archive holds.
func (w *walker) unpack(k sniff.Kind, r io.Reader) error {
	switch k {
	case sniff.Tar:
		return archive.Tars(r, w.visit)
	case sniff.Ar:
		return w.ar(r)
	case sniff.RPM:
		return w.rpm(r)
	case sniff.Cpio:
		return archive.Cpio(r, w.visit)
	}
	return errSealed
}

var (
	errSealed = errors.New("of a format that is not read")
	errDeep   = fmt.Errorf("archives in archives, more than %d deep", maxNesting)
)

// adopt takes over what was found in the archive at p.
func (b *builder) adopt(p string, f *Facts) {
	for _, h := range f.Hits {
		b.hit(h.Rule, inside(p, h.Path), h.Detail)
	}
	for _, set := range f.Packages {
		if set.Counts() {
			for _, h := range set.Hits() {
				b.hit(h.Rule, inside(p, h.Path), h.Detail)
			}
		}
	}
	exists := func(p string) bool { return slices.ContainsFunc(MergedNames(p), f.Paths.Exists) }
	found := f.found()
	for _, l := range f.Links {
		if h, ok := l.Hit(exists, found); ok {
			// Its target is often in another package: a dangling one is no mount point.
			b.hit(l.Rule, inside(p, h.Path), h.Detail)
		}
	}
}

func inside(archive, p string) string {
	if p == "" || archive == "" {
		return archive + p
	}
	return archive + InArchive + p
}

// decompressed examines the one file that a compressed file holds. If that is an
// archive, its entries are this walker's.
func (w *walker) decompressed(k sniff.Kind, r io.Reader) (*dynelf.Info, rules.Texts, error) {
	dec, done, err := w.decompress(k, r)
	if err != nil {
		return nil, rules.Texts{}, err
	}
	defer done()
	buf := bufio.NewReaderSize(w.budget.decoded(dec), sniff.Len)
	head, _ := buf.Peek(sniff.Len) // fewer bytes are no error yet
	if sniff.Of(head) == sniff.Tar {
		return nil, rules.Texts{}, archive.Tars(buf, w.visit)
	}
	c, err := w.unsized("", buf)
	if err == nil && dec.Begins() {
		err = errors.New("a later stream in it begins as a file of its own")
	}
	return c.elf, c.texts, err
}

// unsized examines a file of which the size is not known before it was read.
func (w *walker) unsized(p string, r io.Reader) (content, error) {
	var head [sniff.Len]byte
	n, err := readers.Fill(r, head[:])
	if err != nil && !errors.Is(err, io.EOF) {
		return content{}, err
	}
	w.ambiguous(p, head[:n])
	k := sniff.Of(head[:n])
	end := archive.NewTail(io.MultiReader(bytes.NewReader(head[:n]), r), k, 0, w.held, w.budget.space)
	defer end.Close()
	c := content{size: 1, notELF: true}
	switch err = nil; {
	case k == sniff.Object:
		c, err = w.stream(k, &tar.Header{Size: math.MaxInt64}, end)
	case k == sniff.Script:
		c, k, err = w.script(p, &tar.Header{Size: math.MaxInt64}, end)
	case k == sniff.Zip: // below
	case k != sniff.Other:
		c, err = w.nested(p, k, &tar.Header{Size: 1}, end)
	case bytes.HasPrefix(head[:n], []byte("\x7fELF")):
		c, err = w.unsizedELF(p, end)
	}
	if err == nil {
		err = w.zipAt(p, k, end)
	}
	return c, err
}

// unsizedELF examines an ELF file in memory.
func (w *walker) unsizedELF(p string, r io.Reader) (content, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxUnsized+1))
	if len(data) > maxUnsized {
		err = fmt.Errorf("compressed ELF file of more than %d bytes", maxUnsized)
	}
	if err != nil {
		return content{}, err
	}
	return w.examine(p, &tar.Header{Size: int64(len(data))}, bytes.NewReader(data))
}

// decompress decodes streams until done is called. Of streams in streams only the
// outermost gets much memory, so that they cannot add up.
func (w *walker) decompress(k sniff.Kind, r io.Reader) (dec *codec.Reader, done func(), err error) {
	dict := maxDict
	if w.within > 0 {
		dict = innerDict
	}
	w.within++
	done = func() { w.within-- }
	switch k {
	case sniff.Gzip:
		dec, err = codec.Gzip(r)
	case sniff.Zstd:
		var z *zstd.Decoder
		if dec, z, err = codec.Zstd(r, dict); err == nil {
			done = func() { w.within--; z.Close() }
		}
	case sniff.Xz:
		dec, err = codec.Xz(r, dict)
	case sniff.Bzip2:
		dec, err = codec.Bzip2(r)
	}
	return dec, done, err
}

// isSparse reports whether an entry is longer than what the archive holds of it.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}
