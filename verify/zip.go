// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
	"github.com/cudabuild/cudabuild/verify/internal/spool"
)

// A zip file is one by its end: whatever stands in front of it (a line for the kernel, a
// program, an image), zip readers find its directory from there. So zipTail bytes at the end of
// every file are held while it streams by, and all of what begins as a zip or a script, as
// wheels and executable Python archives do, is held on disk.
const (
	zipTail     = 256 << 10
	zipEndFrom  = 65 << 10 // as far from its end archive/zip looks for the end of a directory
	zipEndSize  = 22
	zip64At     = 20 // size of the locator, which is before the end
	zip64Size   = 56
	zipSealed   = 1       // flag of a file that is encrypted
	maxZipFiles = 1 << 17 // of which as much is kept as takes 50 MB
	smallestELF = 4 << 10 // no program of a driver is smaller
)

// tail reads a file of which the last bytes are to be held, or all of it.
type tail struct {
	r    io.Reader
	skip int64 // bytes up to those
	held []byte
	size int64       // read so far
	all  *spool.File // nil if only the end is wanted, or that is all
	zips bool        // of a kind that zip files are made of
}

// tail reads r, a file of size bytes, 0 if that is not known. It uses the buffer of the last
// one again, and must be closed.
func (w *walker) tail(r io.Reader, k sniff.Kind, size int64) *tail {
	t := &tail{r: r, held: w.held[:0], skip: max(0, size-zipTail), zips: k == sniff.Zip || k == sniff.Script}
	if t.zips && (size == 0 || size > zipTail) {
		t.all = w.space.New()
	}
	return t
}

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if t.all != nil {
		_, _ = t.all.WriteAt(p[:n], t.size)
	}
	t.size += int64(n)
	skip := min(t.skip, int64(n))
	t.skip -= skip
	t.held = append(t.held, p[skip:n]...)
	if len(t.held) > 2*zipTail {
		t.held = append(t.held[:0], t.held[len(t.held)-zipTail:]...)
	}
	return n, err
}

// drain reads the rest, in larger pieces than io.Discard does.
func (t *tail) drain() error {
	buf := readers.Buffers.Get().(*[32 << 10]byte)
	defer readers.Buffers.Put(buf)
	for {
		switch _, err := t.Read(buf[:]); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (t *tail) close() {
	if t.all != nil {
		t.all.Close()
	}
}

// spooled reports whether all of the file is held on disk.
func (t *tail) spooled() bool { return t.all != nil && t.all.Err() == nil }

// opens reports whether the file is of a kind that is examined, and all of it is held.
func (t *tail) opens() bool { return t.zips && (t.spooled() || int64(len(t.held)) == t.size) }

var errZipDirectory = errors.New("the directory of the zip file is too big")

// ReadAt implements io.ReaderAt, for what is held.
func (t *tail) ReadAt(p []byte, off int64) (int, error) {
	if t.spooled() {
		return t.all.ReadAt(p, off)
	}
	from := off - (t.size - int64(len(t.held)))
	if from < 0 {
		return 0, errZipDirectory
	}
	n := copy(p, t.held[min(from, int64(len(t.held))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// zip returns the zip that ends here, nil if there is none.
func (t *tail) zip() (*zip.Reader, error) {
	files, found := zipFiles(t.held[max(0, len(t.held)-zipTail):])
	switch {
	case !found:
		return nil, nil
	case files > maxZipFiles:
		return nil, fmt.Errorf("zip file of more than %d files", maxZipFiles)
	}
	z, err := zip.NewReader(t, t.size)
	if errors.Is(err, zip.ErrFormat) {
		return nil, nil
	}
	return z, err
}

// zipFiles returns how many files the zip has that ends in data, by its last record: so many
// are made room for before the first is read.
func zipFiles(data []byte) (n uint64, found bool) {
	le, from := binary.LittleEndian, max(0, len(data)-zipEndFrom)
	for at := len(data); ; {
		if at = bytes.LastIndex(data[from:at], []byte("PK\x05\x06")); at < 0 {
			return 0, false
		}
		at += from
		if len(data)-at < zipEndSize || len(data)-at-zipEndSize < int(le.Uint16(data[at+20:])) {
			continue
		}
		if at >= zip64At+zip64Size && string(data[at-zip64At:][:4]) == "PK\x06\x07" && string(data[at-zip64At-zip64Size:][:4]) == "PK\x06\x06" {
			return le.Uint64(data[at-zip64At-zip64Size+32:]), true
		}
		return uint64(le.Uint16(data[at+10:])), true
	}
}

// zipAt examines the zip that a file at p is, by its beginning or by its end: its files with
// Options.Nested if all of it is held, else what it lists.
func (w *walker) zipAt(p string, k sniff.Kind, t *tail) error {
	if err := t.drain(); err != nil {
		return err
	}
	w.held = t.held
	z, err := t.zip()
	inner := w.inner()
	open := w.opts.Nested && t.opens()
	switch {
	case err != nil:
	case z == nil && k == sniff.Zip && w.opts.Nested:
		err = errors.New("zip file without a directory")
	case z == nil || len(z.File) == 0:
		return nil
	case open && inner.depth > maxNesting:
		err = errDeep
	case open:
		err = inner.unzip(z.File)
	default:
		inner.list(z.File)
		if w.opts.Nested {
			err = errors.New("a zip behind other content is listed, and not opened")
			if t.all != nil {
				err = cmp.Or(t.all.Err(), err)
			}
		}
	}
	if err != nil {
		w.unreadable(p, "nested archive: "+err.Error())
	}
	w.adopt(p, inner.finish())
	return nil
}

// unzip examines the files of a zip. What cannot be decoded is judged by its name. The error
// is the first one.
func (w *walker) unzip(files []*zip.File) (first error) {
	for _, f := range files {
		if w.facts.Entries++; w.facts.Entries > w.opts.MaxEntries {
			return cmp.Or(first, fmt.Errorf("archive has more than %d entries", w.opts.MaxEntries))
		}
		if err := w.zipFile(f); err != nil {
			w.listed(f)
			first = cmp.Or(first, fmt.Errorf("%q: %w", shorten(f.Name), err))
		}
	}
	return first
}

func (w *walker) zipFile(f *zip.File) error {
	if f.Flags&zipSealed != 0 {
		return errors.New("is encrypted")
	}
	content, err := f.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return fmt.Errorf("compressed by method %d", f.Method)
	}
	if err != nil {
		return err
	}
	defer content.Close()
	h := &tar.Header{Name: zipPath(f.Name), Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(min(f.UncompressedSize64, 1<<62))}
	if strings.HasSuffix(h.Name, "/") {
		h.Typeflag = tar.TypeDir
	}
	body := &decodedReader{content, &w.left.archives}
	if err := w.entry(h, body); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body) // its checksum is known at the end
	return err
}

// list judges the names of files.
func (w *walker) list(files []*zip.File) {
	for _, f := range files {
		w.facts.Entries++
		w.listed(f)
	}
}

// listed judges the name of a file that is not examined.
func (w *walker) listed(f *zip.File) {
	if name := zipPath(f.Name); !strings.HasSuffix(name, "/") {
		w.name(name, f.UncompressedSize64 > 0 && f.UncompressedSize64 < smallestELF)
	}
}

// name judges a name of which the content is not looked at, but may be known to be too
// small for a program.
func (w *walker) name(name string, small bool) {
	if len(name) <= maxNameLen {
		w.file(clean(name), &tar.Header{Typeflag: tar.TypeReg, Mode: 0o755}, content{size: 1, notELF: small})
	}
}

// zipPath turns the names that some tools write into paths.
func zipPath(name string) string { return strings.ReplaceAll(name, `\`, "/") }
