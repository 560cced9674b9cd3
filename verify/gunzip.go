// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// gunzip decodes all members of a gzip stream, one at a time: to the library a
// stream that ends within the name in a member's header is one that ended before it.
type gunzip struct {
	member *gzip.Reader
	in     *bufio.Reader
}

func newGunzip(r io.Reader) (*gunzip, error) {
	g := &gunzip{member: new(gzip.Reader), in: bufio.NewReaderSize(r, 64<<10)}
	return g, g.next()
}

// Read implements io.Reader.
func (g *gunzip) Read(p []byte) (int, error) {
	n, err := g.member.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if _, err := g.in.Peek(1); err != nil {
		return n, err
	}
	return n, g.next()
}

// next reads the header of a member.
func (g *gunzip) next() error {
	err := g.member.Reset(g.in)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	g.member.Multistream(false)
	return err
}
