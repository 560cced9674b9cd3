// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// tarBlock is the unit in which tar archives are written.
const tarBlock = 512

// Tar visits the entries of a tar archive, up to its end.
func Tar(r io.Reader, visit Visit) error {
	entries := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("archive, entry %d: %w", n, err)
		}
		if err := visit(h, entries); err != nil {
			return err
		}
	}
}

// End reads what follows the end-of-archive marker, which extractors
// ignore and in which a second archive could hide. Zeros are padding.
func End(r io.Reader) error {
	buf := readers.Buffers.Get().(*[32 << 10]byte)
	defer readers.Buffers.Put(buf)
	for {
		n, err := r.Read(buf[:])
		for _, b := range buf[:n] {
			if b != 0 {
				return errors.New("data behind the end of the archive")
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Tars visits the entries of a tar, and goes on behind its end and behind what makes no
// sense with the next header there is, as tar(1) does, the former with -i. The error is
// the first one.
func Tars(r io.Reader, visit Visit) error {
	counted := &readers.Counter{R: r}
	in := bufio.NewReader(counted)
	var first error
	for {
		err := Tar(in, visit)
		read := counted.N - int64(in.Buffered())
		_, _ = in.Discard(int(-read & (tarBlock - 1)))
		more, behind := nextHeader(in)
		if first = cmp.Or(first, err, behind); !more {
			return first
		}
	}
}

var zeroBlock [tarBlock]byte

// nextHeader goes to the next block that begins an entry, and reports whether there is
// one. The error is about what it skipped: zeros are padding.
func nextHeader(in *bufio.Reader) (found bool, err error) {
	for {
		block, end := in.Peek(tarBlock)
		if sniff.IsTar(block) {
			return true, err
		}
		if !bytes.HasPrefix(zeroBlock[:], block) {
			err = errors.New("data behind the end of the archive")
		}
		if end != nil && !errors.Is(end, io.EOF) {
			err = end
		}
		if end != nil {
			return false, err
		}
		_, _ = in.Discard(tarBlock)
	}
}
