// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// A zip file is one by its end: whatever stands in front of it (a line for the kernel, a
// program, an image), zip readers find its directory from there. So the end of every
// file is held while the file streams by: maxZipTail bytes of those that are a zip or
// a script by their first bytes, as wheels and executable Python archives are.
const (
	maxZipTail  = 16 << 20
	zipTail     = 256 << 10
	maxZipEnd   = zipEndSize + 1<<16 // with a comment
	zipEndSize  = 22
	zipDirSize  = 46
	zip64At     = 20 // size of the locator, which is before the end
	zip64Size   = 56
	smallestELF = 4 << 10 // no program of a driver is smaller
)

// tail reads a file of which the last bytes are to be held.
type tail struct {
	r    io.Reader
	skip int64 // bytes up to those
	held []byte
	size int64 // of the file
	loud bool  // by its first bytes the file may be a zip
}

// tail uses the buffer of the last one again, unless that grew big.
func (w *walker) tail(r io.Reader, k kind, size int64) *tail {
	t := &tail{r: r, held: w.held[:0], size: size, loud: k == kindZip || k == kindScript}
	most := int64(zipTail)
	if t.loud {
		most, t.held = maxZipTail, nil
	}
	t.skip = max(0, size-most)
	return t
}

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	skip := min(t.skip, int64(n))
	t.skip -= skip
	t.held = append(t.held, p[skip:n]...)
	return n, err
}

// drain reads the rest, in larger pieces than io.Discard does.
func (t *tail) drain() error {
	buf := paddingPool.Get().(*[32 << 10]byte)
	defer paddingPool.Put(buf)
	for {
		switch _, err := t.Read(buf[:]); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

var errZipDirectory = errors.New("the directory of the zip file is too big")

// zipDirectory finds the directory of a zip with this end, nil if there is none. In a
// file that starts as something else, only one that ends where the file ends counts, so
// that a zip inside another file is none.
func (t *tail) zipDirectory() ([]byte, error) {
	data, before := t.held, t.size-int64(len(t.held))
	for at := max(0, len(data)-maxZipEnd); ; at++ {
		next := bytes.Index(data[at:], []byte("PK\x05\x06"))
		if next < 0 || len(data)-at-next < zipEndSize {
			return nil, nil
		}
		at += next
		end := data[at:]
		comment := int(binary.LittleEndian.Uint16(end[20:]))
		if !t.loud && zipEndSize+comment != len(end) {
			continue
		}
		if dir, err := zipDirectoryBefore(data[:at], end, uint64(before)); dir != nil || err != nil {
			return dir, err
		}
	}
}

// zipDirectoryBefore returns the directory that the record end describes, nil if the
// record makes no sense. data is what is held before the record, and there are so many
// more bytes in front of that.
func zipDirectoryBefore(data, end []byte, before uint64) ([]byte, error) {
	le := binary.LittleEndian
	files, size, off := uint64(le.Uint16(end[10:])), uint64(le.Uint32(end[12:])), uint64(le.Uint32(end[16:]))
	if at := len(data) - zip64At - zip64Size; at >= 0 && string(data[at+zip64Size:][:4]) == "PK\x06\x07" && string(data[at:][:4]) == "PK\x06\x06" {
		data, end = data[:at], data[at:]
		files, size, off = le.Uint64(end[32:]), le.Uint64(end[40:]), le.Uint64(end[48:])
	} else if le.Uint32(end[4:]) != 0 || le.Uint16(end[8:]) != uint16(files) {
		return nil, nil
	}
	switch {
	case files == 0 || size/zipDirSize < files || size > before+uint64(len(data)) || off > before+uint64(len(data))-size:
		return nil, nil
	case size > uint64(len(data)):
		return nil, errZipDirectory
	}
	dir := data[uint64(len(data))-size:]
	if string(dir[:4]) != "PK\x01\x02" {
		return nil, nil
	}
	return dir, nil
}

// listZip judges the names in the directory of a zip: wheels and jars are zip files.
func (w *walker) listZip(dir []byte) {
	le := binary.LittleEndian
	for len(dir) >= zipDirSize && string(dir[:4]) == "PK\x01\x02" {
		size := int64(le.Uint32(dir[24:]))
		name, extra, comment := int(le.Uint16(dir[28:])), int(le.Uint16(dir[30:])), int(le.Uint16(dir[32:]))
		if dir = dir[zipDirSize:]; len(dir) < name+extra+comment {
			return
		}
		if p := zipPath(string(dir[:name])); !strings.HasSuffix(p, "/") {
			w.listed(p, size)
		}
		dir = dir[name+extra+comment:]
	}
}

// zipPath turns the names that some tools write into paths.
func zipPath(name string) string { return strings.ReplaceAll(name, `\`, "/") }

// listed judges a name of which the content is not looked at. size is 0 if unknown.
func (w *walker) listed(name string, size int64) {
	if len(name) <= maxNameLen {
		w.file(clean(name), &tar.Header{Typeflag: tar.TypeReg, Mode: 0o755}, content{size: 1, notELF: size > 0 && size < smallestELF})
	}
}

// zipBehind lists the zip that a file ends with, if its content was not examined.
func (w *walker) zipBehind(p string, t *tail) error {
	if err := t.drain(); err != nil {
		return err
	}
	dir, err := t.zipDirectory()
	if !t.loud {
		w.held = t.held
	}
	if dir == nil && err == nil {
		return nil
	}
	inner := newWalker(w.rules, w.opts)
	inner.depth = w.depth + 1
	inner.listZip(dir)
	w.adopt(p, inner.finish())
	switch {
	case err != nil:
		w.unreadable(p, "nested archive: "+err.Error())
	case w.opts.Nested:
		w.unreadable(p, "nested archive: a zip behind other content is listed, and not opened")
	}
	return nil
}
