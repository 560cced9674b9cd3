// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

const (
	zipSealed   = 1       // flag of a file that is encrypted
	smallestELF = 4 << 10 // no program of a driver is smaller
)

// zipAt examines the zip that a file at p is, by its beginning or by its end: its files with
// Options.Nested if all of it is held, else what it lists.
func (w *walker) zipAt(p string, k sniff.Kind, t *archive.Tail) error {
	if err := readers.Drain(t); err != nil {
		return err
	}
	w.held = t.Held()
	z, err := t.Zip()
	switch {
	case err != nil:
	case z == nil && k == sniff.Zip && w.opts.Nested:
		err = errors.New("zip file without a directory")
	case z != nil && len(z.File) > 0:
		inner := w.inner()
		err = inner.zip(z.File, t)
		w.adopt(p, inner.finish())
	}
	if err != nil {
		w.unreadable(p, "nested archive: "+err.Error())
	}
	return nil
}

// zip examines the files of a zip that is held whole, and of others judges the names.
func (w *walker) zip(files []*zip.File, t *archive.Tail) error {
	switch open := w.opts.Nested && t.Whole(); {
	case open && w.depth > maxNesting:
		return errDeep
	case open:
		return w.unzip(files)
	}
	w.list(files)
	if w.opts.Nested {
		return cmp.Or(t.Full(), errors.New("a zip behind other content is listed, and not opened"))
	}
	return nil
}

// unzip examines the files of a zip. What cannot be decoded is judged by its name. The error
// is the first one.
func (w *walker) unzip(files []*zip.File) (first error) {
	for _, f := range files {
		if err := w.count(); err != nil {
			return cmp.Or(first, err)
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
	body := w.budget.decoded(content)
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

// zipPath turns the names that some tools write into paths.
func zipPath(name string) string { return strings.ReplaceAll(name, `\`, "/") }
