// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"

	"github.com/klauspost/compress/flate"
)

// Signatures, flags and methods of APPNOTE.TXT 4.3 and 4.4.
const (
	zipLocal       = 0x04034b50
	zipLocalSize   = 30
	zipDescriptor  = 0x08074b50
	zipRecord      = 0x02014b50 // of the directory
	zipEnd64Record = 0x06064b50
	zipEnd         = 0x06054b50
	zipEncrypted   = 1
	zipStreamed    = 8 // sizes follow the data
	zipStored      = 0
	zipDeflated    = 8
)

// localHeader is what stands before each file of a zip.
type localHeader struct {
	name         string
	flags        uint16
	method       uint16
	packed, size uint64
	big          bool // has 64-bit sizes
}

// zipStream knows how far a zip was read.
type zipStream struct {
	*bufio.Reader

	counted *countReader
}

func (z zipStream) at() uint64 { return uint64(z.counted.n) - uint64(z.Buffered()) }

// unzip examines all files of a zip, in the order in which they stand in the stream,
// whatever is between them. The directory must say the same of them. What cannot be
// decoded is judged by its name. The error is the first one.
func (w *walker) unzip(r io.Reader) error {
	counted := &countReader{r: r}
	in := zipStream{bufio.NewReaderSize(counted, 64<<10), counted}
	index := zipIndex{seed: maphash.MakeSeed()}
	var first error
	for {
		signature, err := seekZip(in.Reader)
		if errors.Is(err, io.EOF) {
			return cmp.Or(first, index.complete())
		}
		if err != nil {
			return cmp.Or(first, err)
		}
		at := in.at()
		if signature != zipLocal {
			first = cmp.Or(first, index.read(signature, at, in.Reader))
			continue
		}
		h, err := readLocalHeader(in.Reader)
		if err != nil {
			return cmp.Or(first, err)
		}
		if w.facts.Entries++; w.facts.Entries > w.opts.MaxEntries {
			return fmt.Errorf("archive has more than %d entries", w.opts.MaxEntries)
		}
		if err := w.zipEntry(&h, in); err != nil {
			w.listed(zipPath(h.name), int64(min(h.size, 1<<62)))
			first = cmp.Or(first, fmt.Errorf("%q: %w", shorten(h.name), err))
			continue
		}
		first = cmp.Or(first, index.file(at, h))
	}
}

// readLocalHeader reads what stands before a file.
func readLocalHeader(r *bufio.Reader) (h localHeader, err error) {
	var b [zipLocalSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return h, err
	}
	le := binary.LittleEndian
	h.flags, h.method = le.Uint16(b[6:]), le.Uint16(b[8:])
	h.packed, h.size = uint64(le.Uint32(b[18:])), uint64(le.Uint32(b[22:]))
	rest := make([]byte, int(le.Uint16(b[26:]))+int(le.Uint16(b[28:])))
	if _, err := io.ReadFull(r, rest); err != nil {
		return h, noEOF(err)
	}
	h.name = string(rest[:le.Uint16(b[26:])])
	h.extra(rest[len(h.name):])
	return h, nil
}

// seekZip goes to the next file, or part of a directory, and returns its signature.
func seekZip(r *bufio.Reader) (uint32, error) {
	if start, err := r.Peek(4); err == nil && isZipSignature(start) {
		return binary.LittleEndian.Uint32(start), nil
	}
	for {
		start, end := r.Peek(r.Size())
		for at := 0; at+4 <= len(start); at++ {
			next := bytes.Index(start[at:], []byte("PK"))
			if next < 0 {
				break
			}
			if at += next; isZipSignature(start[at:]) {
				signature := binary.LittleEndian.Uint32(start[at:])
				return signature, discard(r, at)
			}
		}
		if end != nil {
			return 0, end
		}
		if err := discard(r, len(start)-3); err != nil {
			return 0, err
		}
	}
}

func isZipSignature(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	switch binary.LittleEndian.Uint32(b) {
	case zipLocal, zipRecord, zipEnd64Record, zipEnd:
		return true
	}
	return false
}

// extra reads the 64-bit sizes, if there are any.
func (h *localHeader) extra(fields []byte) {
	le := binary.LittleEndian
	for value := range zip64(fields) {
		if len(value) >= 16 {
			h.size, h.packed, h.big = le.Uint64(value), le.Uint64(value[8:]), true
		}
	}
}

// zip64 yields those of the extra fields of a file that hold 64-bit values.
func zip64(extra []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(extra) >= 4 {
			id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
			if extra = extra[4:]; n > len(extra) {
				return
			}
			if id == 1 && !yield(extra[:n]) {
				return
			}
			extra = extra[n:]
		}
	}
}

// zipEntry examines one file. Of one that was streamed it notes the sizes.
func (w *walker) zipEntry(h *localHeader, r zipStream) error {
	streamed := h.flags&zipStreamed != 0
	switch {
	case h.flags&zipEncrypted != 0:
		return errors.New("is encrypted")
	case h.method == zipStored && streamed:
		return errors.New("stored without a size")
	case h.method != zipStored && h.method != zipDeflated:
		return fmt.Errorf("compressed by method %d", h.method)
	}
	begin := r.at()
	packed := r.Reader // flate reads no byte too many from it
	if !streamed {
		packed = bufio.NewReader(io.LimitReader(r, int64(min(h.packed, 1<<62))))
	}
	body := &countReader{r: packed}
	if h.method == zipDeflated {
		body.r = flate.NewReader(packed)
	}
	body.r = &decodedReader{body.r, &w.left.archives}
	if err := w.zipContent(*h, body, streamed); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	if streamed {
		h.packed, h.size = r.at()-begin, uint64(body.n)
		return skipDescriptor(r.Reader, h.big)
	}
	if uint64(body.n) != h.size {
		return errors.New("is not as long as it says")
	}
	_, err := io.Copy(io.Discard, packed)
	return err
}

func (w *walker) zipContent(h localHeader, body io.Reader, streamed bool) error {
	h.name = zipPath(h.name)
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
