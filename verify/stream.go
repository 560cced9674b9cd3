// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// chunkSize is the unit in which bytes travel between the stages of a stream.
const chunkSize = 256 << 10

// chunksInFlight bounds what waits between two stages.
const chunksInFlight = 4

// maxWindow bounds the memory that a zstd frame may ask for. It is what zstd
// itself accepts without a flag (--long=27).
const maxWindow = 128 << 20

var chunkPool = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// chunk is n bytes, or the error that ended the stream (io.EOF at its end).
type chunk struct {
	buf *[chunkSize]byte
	n   int
	err error
}

// stream decodes one blob on its own goroutines: one reads and hashes the blob, one
// decodes, one hashes the decoded bytes, so that on two cores decoding is the
// only cost that shows. The decoded bytes are read through the embedded reader.
type stream struct {
	chunkReader
	limits  Options
	blobSum hash.Hash
	rawSum  hash.Hash
	blobLen int64
	rawLen  int64
	plain   bool  // the blob is not compressed, so one hash is both
	srcErr  error // reading the blob failed, which says nothing about its content
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// newStream starts to read src. The caller must call close; it also closes src.
func newStream(ctx context.Context, src io.ReadCloser, limits Options) *stream {
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{limits: limits, blobSum: sha256.New(), rawSum: sha256.New(), cancel: cancel}
	stop := context.AfterFunc(ctx, func() { _ = src.Close() }) // unblocks a read that hangs
	blob := make(chan chunk, chunksInFlight)
	decoded := make(chan chunk, chunksInFlight)
	hashed := make(chan chunk, chunksInFlight)
	s.chunkReader = chunkReader{ctx: ctx, in: hashed}
	s.wg.Go(func() {
		defer stop()
		s.readBlob(ctx, src, blob)
	})
	s.wg.Go(func() { s.decode(ctx, &chunkReader{ctx: ctx, in: blob}, decoded) })
	s.wg.Go(func() { s.hashRaw(ctx, decoded, hashed) })
	return s
}

// close ends all goroutines and waits for them. The sums are complete only if the
// stream was read to its end before.
func (s *stream) close() {
	s.cancel()
	s.wg.Wait()
}

func (s *stream) readBlob(ctx context.Context, src io.ReadCloser, out chan<- chunk) {
	defer src.Close()
	for {
		c := chunk{buf: chunkPool.Get().(*[chunkSize]byte)}
		c.n, c.err = io.ReadAtLeast(src, c.buf[:], 1)
		if !s.limits.TrustDigests {
			_, _ = s.blobSum.Write(c.buf[:c.n])
		}
		s.blobLen += int64(c.n)
		if c.err != nil && !errors.Is(c.err, io.EOF) {
			s.srcErr = c.err
		}
		if !send(ctx, out, c) || c.err != nil {
			return
		}
	}
}

func (s *stream) decode(ctx context.Context, blob *chunkReader, out chan<- chunk) {
	dec, done, err := decoder(blob)
	if err != nil {
		send(ctx, out, chunk{err: err})
		return
	}
	defer done()
	s.plain = dec == io.Reader(blob) // before the first send, so that hashRaw sees it
	for {
		c := chunk{buf: chunkPool.Get().(*[chunkSize]byte)}
		c.n, c.err = fill(dec, c.buf[:])
		s.rawLen += int64(c.n)
		if c.err == nil {
			c.err = s.overLimit(blob.n)
		}
		if errors.Is(c.err, io.EOF) {
			c.err = atEnd(blob)
		}
		if !send(ctx, out, c) || c.err != nil {
			return
		}
	}
}

// overLimit reports that the decoded bytes exceed what one layer may hold.
func (s *stream) overLimit(blobLen int64) error {
	switch {
	case s.rawLen > s.limits.MaxLayerBytes:
		return fmt.Errorf("layer is larger than %d bytes", s.limits.MaxLayerBytes)
	case s.rawLen > s.limits.MaxRatioAfter && s.rawLen/s.limits.MaxRatio > blobLen:
		return fmt.Errorf("layer is compressed more than %d-fold", s.limits.MaxRatio)
	}
	return nil
}

// atEnd reads blob to its end, without which its digest would not be complete,
// and reports bytes that no decoder consumed.
func atEnd(blob *chunkReader) error {
	n, err := io.Copy(io.Discard, blob)
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%d bytes behind the end of the compressed data", n)
	}
	return io.EOF
}

func (s *stream) hashRaw(ctx context.Context, in <-chan chunk, out chan<- chunk) {
	for {
		select {
		case c := <-in:
			if c.buf != nil && !s.plain && !s.limits.TrustDigests {
				_, _ = s.rawSum.Write(c.buf[:c.n])
			}
			if !send(ctx, out, c) || c.err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// digests returns the digest and the diff ID of a stream that was read to its end,
// "" for those that are trusted.
func (s *stream) digests() (blob, raw string) {
	if s.limits.TrustDigests {
		return "", ""
	}
	blob = "sha256:" + hex.EncodeToString(s.blobSum.Sum(nil))
	if s.plain {
		return blob, blob
	}
	return blob, "sha256:" + hex.EncodeToString(s.rawSum.Sum(nil))
}

// decoder picks the decoder by the first bytes: media types are not to be trusted.
func decoder(blob *chunkReader) (dec io.Reader, done func(), err error) {
	switch magic := blob.peek(); {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(blob)
		return z, func() {}, err
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippable(magic):
		z, err := zstd.NewReader(blob, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return blob, func() {}, nil
}

// isSkippable recognises a zstd skippable frame, which a blob may begin with.
func isSkippable(magic []byte) bool {
	return len(magic) >= 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:4], []byte{0x2a, 0x4d, 0x18})
}

// fill reads until buf is full or r ends; unlike io.ReadFull it reports the end as io.EOF.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

func send(ctx context.Context, out chan<- chunk, c chunk) bool {
	select {
	case out <- c:
		return true
	case <-ctx.Done():
		return false
	}
}
