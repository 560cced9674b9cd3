// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/cudabuild/cudabuild/verify/internal/rpmdb"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

const (
	rpmLead   = 96
	rpmMagic  = 0x8eade801
	maxHeader = 64 << 20 // of one package
)

// rpm examines an RPM package: which one it is and the names of its files, which its
// header lists, and their content with Options.Nested.
func (w *walker) rpm(r io.Reader) error {
	buf := bufio.NewReaderSize(r, sniff.Len)
	if _, err := buf.Discard(rpmLead); err != nil {
		return err
	}
	signature, err := rpmHeader(buf)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if _, err := buf.Discard(-len(signature) & 7); err != nil {
		return err
	}
	header, err := rpmHeader(buf)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	pkg, err := rpmdb.Parse(header)
	if err != nil {
		return err
	}
	set := packageSet{}
	w.installed(&set, pkg.Name, pkg.Version)
	w.packages(set)
	if w.opts.Nested {
		return w.payload(buf, w.cpio)
	}
	pkg.Files(func(name string) { w.name(name, false) })
	return nil
}

// rpmHeader reads one header structure without its magic number.
func rpmHeader(r io.Reader) ([]byte, error) {
	var b [16]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	size := 16*uint64(be.Uint32(b[8:])) + uint64(be.Uint32(b[12:]))
	if be.Uint32(b[:]) != rpmMagic || size > maxHeader {
		return nil, errors.New("not a header structure, or too big a one")
	}
	rest, err := io.ReadAll(io.LimitReader(r, int64(size)))
	if err == nil && uint64(len(rest)) < size {
		err = io.ErrUnexpectedEOF
	}
	return append(b[8:], rest...), err
}

// Types of files in the mode of a cpio entry.
const (
	cpioType = 0o170000
	cpioLink = 0o120000
	cpioFile = 0o100000
	cpioDir  = 0o040000
)

// cpio examines a cpio archive in the "newc" format, an RPM's payload is one.
func (w *walker) cpio(r io.Reader) error {
	buf := bufio.NewReader(r)
	for {
		h, padding, err := cpioHeader(buf)
		if err != nil {
			return err
		}
		if h == nil {
			return behindArchive(buf)
		}
		if w.facts.Entries++; w.facts.Entries > w.opts.MaxEntries {
			return fmt.Errorf("archive has more than %d entries", w.opts.MaxEntries)
		}
		body := &io.LimitedReader{R: buf, N: h.Size}
		if err := w.entry(h, body); err != nil {
			return fmt.Errorf("%q: %w", shorten(h.Name), err)
		}
		if _, err := io.CopyN(io.Discard, buf, body.N+padding); err != nil {
			return err
		}
	}
}

// cpioHeader returns the next entry as a tar header and how many bytes of padding
// follow its content, nil at the end of the archive.
func cpioHeader(r io.Reader) (h *tar.Header, padding int64, err error) {
	var b [110]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, 0, err
	}
	var field [13]int64
	for i := range field {
		if field[i], err = strconv.ParseInt(string(b[6+8*i:14+8*i]), 16, 64); err != nil {
			return nil, 0, errors.New("not an entry of a cpio archive")
		}
	}
	mode, links, size, nameLen := field[1], field[4], field[6], field[11]
	if string(b[:6]) != "070701" && string(b[:6]) != "070702" || nameLen < 1 || nameLen > maxNameLen {
		return nil, 0, errors.New("not an entry of a cpio archive")
	}
	name := make([]byte, nameLen+(-(110+nameLen))&3)
	if _, err := io.ReadFull(r, name); err != nil {
		return nil, 0, err
	}
	h = &tar.Header{Name: string(name[:nameLen-1]), Mode: mode & 0o7777, Size: size, Typeflag: tar.TypeReg}
	padding = -size & 3
	switch {
	case h.Name == "TRAILER!!!":
		return nil, 0, nil
	case mode&cpioType == cpioDir:
		h.Typeflag = tar.TypeDir
	case mode&cpioType == cpioLink:
		target := make([]byte, min(size, maxNameLen+1))
		_, err = io.ReadFull(r, target)
		h.Typeflag, h.Linkname = tar.TypeSymlink, string(target)
		h.Size = size - int64(len(target))
	case mode&cpioType != cpioFile, size == 0 && links > 1: // the content stands at the last link
		h.Typeflag = tar.TypeFifo // judged by name alone
	}
	return h, padding, err
}
