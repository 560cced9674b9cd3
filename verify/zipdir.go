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
// program, an image), zip readers find its directory from there, and most of them
// whatever stands behind it. So zipTail bytes at the end of every file are held while
// it streams by. What is a zip or a script by its first bytes, as wheels and executable
// Python archives are, is searched for records of a directory from its start to its end.
const (
	zipTail     = 256 << 10
	maxZipEnd   = 66000 // as far from the end unzip looks; others stop at the longest comment
	zipEndSize  = 22
	zipDirSize  = 46
	zip64At     = 20 // size of the locator, which is before the end
	zip64Size   = 56
	smallestELF = 4 << 10 // no program of a driver is smaller
)

// tail reads a file of which the last bytes are to be held, or what may be the
// beginning of a record if all of it is searched.
type tail struct {
	r     io.Reader
	skip  int64 // bytes up to those
	held  []byte
	size  int64   // read so far
	names *walker // of the zip that the file is, nil if only its end is searched
}

// tail reads r, a file of size bytes, 0 if that is not known. It uses the buffer of the last one again.
func (w *walker) tail(r io.Reader, k kind, size int64) *tail {
	t := &tail{r: r, held: w.held[:0], skip: max(0, size-zipTail)}
	if k == kindScript || k == kindZip && !w.opts.Nested {
		t.names, t.skip = w.inner(), 0
	}
	return t
}

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.size += int64(n)
	skip := min(t.skip, int64(n))
	t.skip -= skip
	t.held = append(t.held, p[skip:n]...)
	switch {
	case t.names != nil:
		t.held = t.names.listZip(t.held)
	case len(t.held) > 2*zipTail:
		t.held = append(t.held[:0], t.held[len(t.held)-zipTail:]...)
	}
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

// zipDirectory finds the directory of a zip with this end, nil if there is none.
func (t *tail) zipDirectory() ([]byte, error) {
	data := t.held[max(0, len(t.held)-zipTail):] // of a file of unknown size more may be held, by how it was read
	before := t.size - int64(len(data))
	for at := max(0, len(data)-maxZipEnd); ; at++ {
		next := bytes.Index(data[at:], []byte("PK\x05\x06"))
		if next < 0 || len(data)-at-next < zipEndSize {
			return nil, nil
		}
		at += next
		if dir, err := zipDirectoryBefore(data[:at], data[at:], uint64(before)); dir != nil || err != nil {
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

// listZip judges the names in the directory of a zip, wheels and jars among them, as far as data
// holds its records. It returns the rest of data, which more may follow, and reuses its memory.
func (w *walker) listZip(data []byte) []byte {
	le := binary.LittleEndian
	at := 0
	for ; ; at++ {
		next := bytes.Index(data[at:], []byte("PK\x01\x02"))
		if next < 0 {
			at = max(at, len(data)-3)
			break
		}
		at += next
		if len(data)-at < zipDirSize {
			break
		}
		record, name := data[at:], int(le.Uint16(data[at+28:]))
		if name == 0 || name > maxNameLen {
			continue
		}
		if len(record) < zipDirSize+name {
			break
		}
		w.facts.Entries++
		if p := zipPath(string(record[zipDirSize:][:name])); !strings.HasSuffix(p, "/") {
			w.listed(p, int64(le.Uint32(record[24:])))
		}
	}
	return append(data[:0], data[at:]...)
}

// zipPath turns the names that some tools write into paths.
func zipPath(name string) string { return strings.ReplaceAll(name, `\`, "/") }

// listed judges a name of which the content is not looked at. size is 0 if unknown.
func (w *walker) listed(name string, size int64) {
	if len(name) <= maxNameLen {
		w.file(clean(name), &tar.Header{Typeflag: tar.TypeReg, Mode: 0o755}, content{size: 1, notELF: size > 0 && size < smallestELF})
	}
}

// zipBehind lists the zip that a file is by its end, if its content was not examined.
func (w *walker) zipBehind(p string, t *tail) error {
	if err := t.drain(); err != nil {
		return err
	}
	names, err := t.names, error(nil)
	if names == nil {
		var dir []byte
		if dir, err = t.zipDirectory(); dir != nil || err != nil {
			names = w.inner()
			names.listZip(dir)
		}
	}
	w.held = t.held
	switch {
	case err != nil:
		w.unreadable(p, "nested archive: "+err.Error())
	case names == nil || names.facts.Entries == 0:
		return nil
	case w.opts.Nested:
		w.unreadable(p, "nested archive: a zip behind other content is listed, and not opened")
	}
	w.adopt(p, names.finish())
	return nil
}
