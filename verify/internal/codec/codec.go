// SPDX-License-Identifier: Apache-2.0

// Package codec decodes gzip, zstd, xz and bzip2: all streams of a file, one behind the other,
// as the tools of these formats do.
package codec

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// Reader decodes all streams of a compressed file, one behind the other, as every tool
// does. Between them it looks whether a later one begins as a file of its own does: a
// tar goes on anywhere, but what stands in front of a program or a zip is not all there is.
type Reader struct {
	io.Reader                           // decodes the current stream
	next      func() (io.Reader, error) // returns the one behind it, io.EOF at the end of the file
	any       bool                      // something was decoded
	begins    bool
	err       error // the one that reading ended with, for good: who peeks forgets it
}

// Begins reports whether a later stream begins as a file of its own.
func (s *Reader) Begins() bool { return s.begins }

// newReader reads the first stream by next.
func newReader(next func() (io.Reader, error)) (*Reader, error) {
	first, err := next()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &Reader{Reader: first, next: next}, err
}

// Read implements io.Reader.
func (s *Reader) Read(p []byte) (n int, err error) {
	if s.err != nil {
		return 0, s.err
	}
	for n == 0 && err == nil && len(p) > 0 { // streams of nothing are passed over
		n, err = s.Reader.Read(p)
		s.any = s.any || n > 0
		if errors.Is(err, io.EOF) {
			err = s.goOn()
		}
	}
	s.err = err
	return n, err
}

// goOn turns to the next stream.
func (s *Reader) goOn() error {
	next, err := s.next()
	if err != nil {
		return err
	}
	head := make([]byte, sniff.Len)
	n, err := readers.Fill(next, head)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	s.begins = s.begins || s.any && (sniff.Of(head[:n]) != sniff.Other || sniff.IsELF(head[:n]))
	s.Reader = io.MultiReader(bytes.NewReader(head[:n]), next)
	return nil
}

// Gzip decodes gzip one member at a time: to the library a stream that ends
// within the name in a member's header is one that ended before it. Zeros behind a
// member are padding, as tapes have it.
func Gzip(r io.Reader) (*Reader, error) {
	in, member := bufio.NewReaderSize(r, 64<<10), new(gzip.Reader)
	return newReader(func() (io.Reader, error) {
		if err := skipZeros(in); err != nil {
			return nil, err
		}
		err := member.Reset(in)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		member.Multistream(false)
		return member, err
	})
}

// skipZeros goes to the next byte that is not zero.
func skipZeros(in *bufio.Reader) error {
	for {
		b, err := in.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return in.UnreadByte()
		}
	}
}

// Xz decodes xz with dictionaries of up to dict bytes.
func Xz(r io.Reader, dict int) (*Reader, error) {
	z, err := xz.NewReader(&errorLast{r: r}, uint32(dict))
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	s := &Reader{Reader: z}
	s.next = func() (io.Reader, error) {
		err := z.Reset(nil) // goes on behind the stream that ended
		z.Multistream(false)
		return z, err
	}
	return s, nil
}

// errorLast reports the end, or an error, when all bytes before it were taken: the xz
// decoder drops Reader and bytes that come with one. Each of its reads gives something.
type errorLast struct {
	r   io.Reader
	err error
}

func (e *errorLast) Read(p []byte) (n int, err error) {
	if e.err == nil {
		n, e.err = readers.AtLeast(e.r, p, min(1, len(p)))
	}
	if n > 0 {
		return n, nil
	}
	return 0, e.err
}

// Zstd decodes zstd with windows of up to dict bytes, until the decoder is closed.
func Zstd(r io.Reader, dict int) (*Reader, *zstd.Decoder, error) {
	in := bufio.NewReader(r)
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(uint64(dict)), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, nil, err
	}
	s, err := newReader(func() (io.Reader, error) {
		frame, err := nextFrame(in)
		if err != nil {
			return nil, err
		}
		return z, z.Reset(frame)
	})
	if err != nil {
		z.Close()
	}
	return s, z, err
}

// zstdFrame reads one frame and ends where that ends (RFC 8878, 3.1), which its decoder
// does not tell.
type zstdFrame struct {
	in   *bufio.Reader
	left int64 // bytes up to the next block, or to the end
	last bool  // of these
	tail int64 // bytes behind the last block
}

func nextFrame(in *bufio.Reader) (*zstdFrame, error) {
	start, err := in.Peek(zstd.HeaderMaxSize)
	if len(start) == 0 {
		return nil, err
	}
	var h zstd.Header
	if err := h.Decode(start); err != nil {
		return nil, readers.NoEOF(err)
	}
	f := &zstdFrame{in: in, left: int64(h.HeaderSize) + int64(h.SkippableSize), last: h.Skippable}
	if h.HasCheckSum {
		f.tail = 4
	}
	return f, nil
}

// Read implements io.Reader.
func (f *zstdFrame) Read(p []byte) (int, error) {
	if f.left == 0 {
		if f.last {
			return 0, io.EOF
		}
		if err := f.block(); err != nil {
			return 0, readers.NoEOF(err)
		}
	}
	n, err := f.in.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, readers.NoEOF(err)
}

// block reads the header of a block: whether it is the last, a type, a size.
func (f *zstdFrame) block() error {
	const repeated = 1 // the type of a block that is one byte
	b, err := f.in.Peek(3)
	if err != nil {
		return err
	}
	h := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
	f.last, f.left = h&1 == 1, 3+h>>3
	if h>>1&3 == repeated {
		f.left = 3 + 1
	}
	if f.last {
		f.left += f.tail
	}
	return nil
}

// Bzip2 decodes bzip2.
func Bzip2(r io.Reader) (*Reader, error) {
	in := bufio.NewReader(r)
	return newReader(func() (io.Reader, error) {
		if _, err := in.Peek(1); err != nil {
			return nil, err
		}
		return bzip2.NewReader(&bzip2Stream{Reader: in}), nil
	})
}

// bzip2Stream ends before the next stream, which begins with 10 bytes that nothing else
// contains but by intent; then the decoder misses what it needs.
type bzip2Stream struct {
	*bufio.Reader

	begun bool
}

// ReadByte implements io.ByteReader, which is all that the decoder uses.
func (b *bzip2Stream) ReadByte() (byte, error) {
	start, _ := b.Peek(10)
	if b.begun && sniff.IsBzip2(start) {
		return 0, io.EOF
	}
	b.begun = true
	return b.Reader.ReadByte()
}
