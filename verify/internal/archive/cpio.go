// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"strconv"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
)

// Types of files in the mode of a cpio entry.
const (
	cpioType = 0o170000
	cpioLink = 0o120000
	cpioFile = 0o100000
	cpioDir  = 0o040000
)

// Cpio visits the entries of a cpio archive in the "newc" format; the payload of an RPM package is one.
func Cpio(r io.Reader, visit Visit) error {
	buf := bufio.NewReader(r)
	for {
		h, padding, err := cpioHeader(buf)
		if err != nil {
			return err
		}
		if h == nil {
			return End(buf)
		}
		body := &io.LimitedReader{R: buf, N: h.Size}
		if err := visit(h, body); err != nil {
			return err
		}
		if err := readers.Discard(buf, body.N+padding); err != nil {
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
	if string(b[:6]) != "070701" && string(b[:6]) != "070702" || nameLen < 1 || nameLen > MaxName {
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
		target := make([]byte, min(size, MaxName+1))
		_, err = io.ReadFull(r, target)
		h.Typeflag, h.Linkname = tar.TypeSymlink, string(target)
		h.Size = size - int64(len(target))
	case mode&cpioType != cpioFile, size == 0 && links > 1: // the content stands at the last link
		h.Typeflag = tar.TypeFifo // judged by name alone
	}
	return h, padding, err
}
