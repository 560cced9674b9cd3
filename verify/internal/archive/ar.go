// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// Ar calls visit for each member of an ar archive, which Debian packages and static libraries are.
func Ar(r io.Reader, visit func(name string, member io.Reader) error) error {
	buf := bufio.NewReader(r)
	if _, err := buf.Discard(len(sniff.ArMagic)); err != nil {
		return err
	}
	for {
		name, size, err := arHeader(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		member := &io.LimitedReader{R: buf, N: size}
		if err := visit(name, member); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := readers.Discard(buf, member.N+size&1); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// arHeader reads the 60 bytes before each member of an ar archive.
func arHeader(r io.Reader) (name string, size int64, err error) {
	var b [60]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", 0, err
	}
	size, err = strconv.ParseInt(strings.TrimSpace(string(b[48:58])), 10, 64)
	if err != nil || size < 0 || string(b[58:]) != "`\n" {
		return "", 0, errors.New("not a member of an ar archive")
	}
	return strings.TrimRight(string(b[:16]), " /"), size, nil
}
