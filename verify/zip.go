// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
)

// maxZipTail bounds what is held of a zip file to list it; its directory is at the end.
const maxZipTail = 16 << 20

// listZip judges the names in a zip file of size bytes: wheels and jars are zip files.
func (w *walker) listZip(r io.Reader, size int64) error {
	held := min(size, maxZipTail)
	if _, err := io.CopyN(io.Discard, r, size-held); err != nil {
		return err
	}
	tail, err := io.ReadAll(io.LimitReader(r, held))
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(tailReader{tail, size - held}, size)
	if archive == nil {
		return err
	}
	for _, f := range archive.File {
		if !f.FileInfo().IsDir() {
			w.listed(f.Name)
		}
	}
	return nil
}

// listed judges a name of which the content is not looked at.
func (w *walker) listed(name string) {
	if len(name) <= maxNameLen {
		w.file(clean(name), &tar.Header{Typeflag: tar.TypeReg, Mode: 0o755}, content{size: 1})
	}
}

// tailReader is the end of a file, from off on.
type tailReader struct {
	data []byte
	off  int64
}

func (t tailReader) ReadAt(p []byte, off int64) (int, error) {
	if off < t.off {
		return 0, errors.New("the directory of the zip file is too big")
	}
	return bytes.NewReader(t.data).ReadAt(p, off-t.off)
}

// Signatures, flags and methods of APPNOTE.TXT 4.3 and 4.4.
const (
	zipLocal      = 0x04034b50
	zipDescriptor = 0x08074b50
	zipEncrypted  = 1
	zipStreamed   = 8 // sizes follow the data
	zipStored     = 0
	zipDeflated   = 8
)

// localHeader is what stands before each file of a zip.
type localHeader struct {
	name         string
	flags        uint16
	method       uint16
	packed, size uint64
	big          bool // has 64-bit sizes
}

// unzip examines all files of a zip, in the order in which they stand in the stream.
func (w *walker) unzip(r io.Reader) error {
	buf := bufio.NewReaderSize(r, 64<<10)
	for {
		h, err := readLocalHeader(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if w.facts.Entries++; w.facts.Entries > w.opts.MaxEntries {
			return fmt.Errorf("archive has more than %d entries", w.opts.MaxEntries)
		}
		if err := w.zipEntry(h, buf); err != nil {
			return fmt.Errorf("%q: %w", shorten(h.name), err)
		}
	}
}

// readLocalHeader returns io.EOF where the files end and the directory begins.
func readLocalHeader(r *bufio.Reader) (h localHeader, err error) {
	var b [30]byte
	if start, err := r.Peek(4); err != nil || binary.LittleEndian.Uint32(start) != zipLocal {
		return h, io.EOF
	}
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return h, err
	}
	le := binary.LittleEndian
	h.flags, h.method = le.Uint16(b[6:]), le.Uint16(b[8:])
	h.packed, h.size = uint64(le.Uint32(b[18:])), uint64(le.Uint32(b[22:]))
	rest := make([]byte, int(le.Uint16(b[26:]))+int(le.Uint16(b[28:])))
	if _, err := io.ReadFull(r, rest); err != nil {
		return h, err
	}
	h.name = string(rest[:le.Uint16(b[26:])])
	h.extra(rest[len(h.name):])
	return h, nil
}

// extra reads the 64-bit sizes, if there are any.
func (h *localHeader) extra(fields []byte) {
	le := binary.LittleEndian
	for len(fields) >= 4 {
		id, n := le.Uint16(fields), int(le.Uint16(fields[2:]))
		if fields = fields[4:]; n > len(fields) {
			return
		}
		if id == 1 && n >= 16 {
			h.size, h.packed, h.big = le.Uint64(fields), le.Uint64(fields[8:]), true
		}
		fields = fields[n:]
	}
}

func (w *walker) zipEntry(h localHeader, r *bufio.Reader) error {
	streamed := h.flags&zipStreamed != 0
	switch {
	case h.flags&zipEncrypted != 0:
		return errors.New("is encrypted")
	case h.method == zipStored && streamed:
		return errors.New("stored without a size")
	case h.method != zipStored && h.method != zipDeflated:
		return fmt.Errorf("compressed by method %d", h.method)
	}
	var packed io.Reader = r // flate reads no byte too many from it
	if !streamed {
		packed = bufio.NewReader(io.LimitReader(r, int64(min(h.packed, 1<<62))))
	}
	body := packed
	if h.method == zipDeflated {
		body = flate.NewReader(packed)
	}
	body = &decodedReader{r: body, n: w.decoded}
	if err := w.zipContent(h, body, streamed); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	if streamed {
		return skipDescriptor(r, h.big)
	}
	_, err := io.Copy(io.Discard, packed)
	return err
}

func (w *walker) zipContent(h localHeader, body io.Reader, streamed bool) error {
	header := &tar.Header{Name: h.name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(min(h.size, 1<<62))}
	if len(h.name) > 0 && h.name[len(h.name)-1] == '/' {
		header.Typeflag = tar.TypeDir
	}
	if !streamed || header.Typeflag == tar.TypeDir || len(h.name) > maxNameLen {
		return w.entry(header, body)
	}
	p := clean(h.name)
	c, err := w.unsized(p, body)
	if err == nil {
		w.file(p, header, c)
	}
	return err
}

// skipDescriptor skips the checksum and the sizes behind a file, with or without a signature.
func skipDescriptor(r *bufio.Reader, big bool) error {
	n := 12
	if big {
		n = 20
	}
	start, err := r.Peek(4)
	if err == nil && binary.LittleEndian.Uint32(start) == zipDescriptor {
		n += 4
	}
	_, err = r.Discard(n)
	return err
}
