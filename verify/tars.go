// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// tarBlock is the unit in which tar archives are written.
const tarBlock = 512

// tars examines a tar in a layer, and goes on behind its end and behind what makes no
// sense with the next header there is, as tar(1) does, the former with -i. The error is
// the first one.
func (w *walker) tars(r io.Reader) error {
	counted := &readers.Counter{R: r}
	in := bufio.NewReader(counted)
	var first error
	for {
		err := w.entries(in)
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
