// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

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
	maxZipFiles = 1 << 17 // of which as much is kept as takes 50 MB
)

// Tail reads a file of which the last bytes are to be held, or all of it.
type Tail struct {
	r    io.Reader
	skip int64 // bytes up to those
	held []byte
	size int64       // read so far
	all  *spool.File // nil if only the end is wanted, or that is all
	zips bool        // of a kind that zip files are made of
}

// NewTail reads r, a file of size bytes, 0 if that is not known; what is to be held of it
// is in buf, or in a file of space. It must be closed.
func NewTail(r io.Reader, k sniff.Kind, size int64, buf []byte, space *spool.Space) *Tail {
	t := &Tail{r: r, held: buf[:0], skip: max(0, size-zipTail), zips: k == sniff.Zip || k == sniff.Script}
	if t.zips && (size == 0 || size > zipTail) {
		t.all = space.New()
	}
	return t
}

// Read implements io.Reader.
func (t *Tail) Read(p []byte) (int, error) {
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

// Close gives back what is held on disk.
func (t *Tail) Close() {
	if t.all != nil {
		t.all.Close()
	}
}

// spooled reports whether all of the file is held on disk.
func (t *Tail) spooled() bool { return t.all != nil && t.all.Err() == nil }

// Whole reports whether the file is of a kind that zip files are made of, and all of it is held.
func (t *Tail) Whole() bool { return t.zips && (t.spooled() || int64(len(t.held)) == t.size) }

// Held is the memory of the tail, which the next one may use.
func (t *Tail) Held() []byte { return t.held }

// Full says why not all of the file is held where it was to be, nil if it is.
func (t *Tail) Full() error {
	if t.all == nil {
		return nil
	}
	return t.all.Err()
}

var errZipDirectory = errors.New("the directory of the zip file is too big")

// ReadAt implements io.ReaderAt, for what is held.
func (t *Tail) ReadAt(p []byte, off int64) (int, error) {
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

// Zip returns the zip that ends here, nil if there is none.
func (t *Tail) Zip() (*zip.Reader, error) {
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
// are made room for before the first is read. It is asked about every file, and bytes.LastIndex
// takes ten times as long as bytes.Index.
func zipFiles(data []byte) (n uint64, found bool) {
	le := binary.LittleEndian
	for at := max(0, len(data)-zipEndFrom); ; at++ {
		next := bytes.Index(data[at:], []byte("PK\x05\x06"))
		if next < 0 {
			return n, found
		}
		at += next
		if len(data)-at < zipEndSize || len(data)-at-zipEndSize < int(le.Uint16(data[at+20:])) {
			continue
		}
		n, found = uint64(le.Uint16(data[at+10:])), true
		if at >= zip64At+zip64Size && string(data[at-zip64At:][:4]) == "PK\x06\x07" && string(data[at-zip64At-zip64Size:][:4]) == "PK\x06\x06" {
			n = le.Uint64(data[at-zip64At-zip64Size+32:])
		}
	}
}
