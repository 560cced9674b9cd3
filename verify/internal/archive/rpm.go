// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

const (
	rpmLead   = 96
	rpmMagic  = 0x8eade801
	maxHeader = 64 << 20 // of one package
)

// RPM returns the header of an RPM package, without its magic number, and its payload, which
// may be compressed.
func RPM(r io.Reader) (header []byte, payload io.Reader, err error) {
	buf := bufio.NewReaderSize(r, sniff.Len)
	if _, err := buf.Discard(rpmLead); err != nil {
		return nil, nil, err
	}
	signature, err := rpmHeader(buf)
	if err != nil {
		return nil, nil, fmt.Errorf("signature: %w", err)
	}
	if _, err := buf.Discard(-len(signature) & 7); err != nil {
		return nil, nil, err
	}
	if header, err = rpmHeader(buf); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	return header, buf, nil
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
