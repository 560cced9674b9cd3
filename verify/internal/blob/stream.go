// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
)

// chunkSize is the unit in which bytes travel between the stages of a stream.
const chunkSize = 256 << 10

// Bounds of what waits between two stages, and for whoever reads the content: he may stop and
// think for a while, and hashing goes on.
const (
	chunksInFlight = 4
	chunksAhead    = 32
)

var chunkPool = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// chunk is n bytes, or the error that ended the stream (io.EOF at its end).
type chunk struct {
	buf *[chunkSize]byte
	n   int
	err error
}

func (c chunk) bytes() []byte {
	if c.buf == nil {
		return nil
	}
	return c.buf[:c.n]
}

// stream reads one blob on goroutines of its own: one reads it, one hashes it, and of a
// compressed one, one decodes and one hashes what comes out, so that with processors enough the slowest
// of these is the only cost that shows. The content is read through the embedded reader.
type stream struct {
	pipe
	opts     Options
	window   int // index in windows: the largest of zstd
	blobSum  hash.Hash
	rawSum   hash.Hash
	blobLen  int64
	rawLen   int64
	encoding string // "gzip", "zstd", or "": then one hash is both
	srcErr   error  // reading the blob failed, which says nothing about its content
	decErr   error  // decoding failed
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// newStream starts to read src. The caller must call close; it also closes src.
func newStream(ctx context.Context, src io.ReadCloser, o Options, window int) *stream {
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{opts: o, window: window, blobSum: sha256.New(), rawSum: sha256.New(), cancel: cancel}
	stop := context.AfterFunc(ctx, func() { _ = src.Close() }) // unblocks a read that hangs
	blob := s.stage(ctx, func(out chan<- chunk) {
		defer stop()
		s.readBlob(ctx, src, out)
	})
	if s.encoding = encodingOf(blob.peek()); s.encoding == "" {
		s.pipe = s.hashed(ctx, blob, s.blobSum, chunksAhead)
		return s
	}
	blob = s.hashed(ctx, blob, s.blobSum, chunksInFlight)
	raw := s.stage(ctx, func(out chan<- chunk) { s.decode(ctx, &blob, out) })
	s.pipe = s.hashed(ctx, raw, s.rawSum, chunksAhead)
	return s
}

// stage returns what fill sends.
func (s *stream) stage(ctx context.Context, fill func(chan<- chunk)) pipe {
	filled := make(chan chunk, chunksInFlight)
	s.wg.Go(func() { fill(filled) })
	return pipe{ctx: ctx, in: filled}
}

// hashed returns what in reads, of which at most the first chunk was looked at, and has it hashed
// up to so many chunks ahead.
func (s *stream) hashed(ctx context.Context, in pipe, sum hash.Hash, ahead int) pipe {
	if s.opts.Trust {
		return in
	}
	out := make(chan chunk, ahead)
	s.wg.Go(func() {
		c := in.cur
		if c == (chunk{}) {
			c = in.receive()
		}
		for {
			_, _ = sum.Write(c.bytes())
			if !send(ctx, out, c) || c.err != nil {
				return
			}
			c = in.receive()
		}
	})
	return pipe{ctx: ctx, in: out}
}

// close ends all goroutines and waits for them. The sums are complete only if the
// stream was read to its end before.
func (s *stream) close() {
	s.cancel()
	s.wg.Wait()
}

// maxStall is how long a source may give nothing.
const maxStall = time.Minute

func (s *stream) readBlob(ctx context.Context, src io.ReadCloser, out chan<- chunk) {
	defer src.Close()
	var stalled atomic.Bool
	watchdog := time.AfterFunc(maxStall, func() {
		stalled.Store(true)
		_ = src.Close()
	})
	defer watchdog.Stop()
	most := s.opts.MaxBytes
	for least := magicSize; ; least = 1 {
		c := chunk{buf: chunkPool.Get().(*[chunkSize]byte)}
		watchdog.Reset(maxStall)
		c.n, c.err = readers.AtLeast(src, c.buf[:], least)
		watchdog.Stop()
		s.blobLen += int64(c.n)
		if least == magicSize && encodingOf(c.bytes()) != "" {
			most += most/8 + chunkSize // more than what cannot be made smaller grows by
		}
		switch {
		case s.blobLen > most:
			c.err = s.tooLarge()
		case stalled.Load():
			c.err = fmt.Errorf("no data for %v", maxStall)
			s.srcErr = c.err
		case c.err != nil && !errors.Is(c.err, io.EOF) && ctx.Err() == nil: // else close has closed it
			s.srcErr = c.err
		}
		if !send(ctx, out, c) || c.err != nil {
			return
		}
	}
}

func (s *stream) decode(ctx context.Context, blob *pipe, out chan<- chunk) {
	dec, err := s.decoder(blob)
	if err != nil {
		s.decErr = err
		send(ctx, out, chunk{err: err})
		return
	}
	defer dec.close()
	for {
		c := chunk{buf: chunkPool.Get().(*[chunkSize]byte)}
		c.n, c.err = readers.Fill(dec, c.buf[:])
		s.rawLen += int64(c.n)
		switch over := s.overLimit(blob.n); {
		case over != nil:
			c.err = over
		case errors.Is(c.err, io.EOF):
			c.err = atEnd(blob)
		case c.err != nil:
			s.decErr = c.err
		}
		if !send(ctx, out, c) || c.err != nil {
			return
		}
	}
}

// overLimit reports that the decoded bytes exceed what one layer may hold.
func (s *stream) overLimit(blobLen int64) error {
	switch {
	case s.rawLen > s.opts.MaxBytes:
		return s.tooLarge()
	case s.rawLen > s.opts.MaxRatioAfter && s.rawLen/s.opts.MaxRatio > blobLen:
		return fmt.Errorf("layer is compressed more than %d-fold", s.opts.MaxRatio)
	}
	return nil
}

func (s *stream) tooLarge() error {
	return fmt.Errorf("layer is larger than %d bytes", s.opts.MaxBytes)
}

// atEnd reads blob to its end, without which its digest would not be complete,
// and reports bytes that no decoder consumed.
func atEnd(blob *pipe) error {
	n, err := io.Copy(io.Discard, blob)
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%d bytes behind the end of the compressed data", n)
	}
	return io.EOF
}

// failure returns why nothing can be said about the content, after close. size is
// what the manifest says of the blob.
func (s *stream) failure(ctx context.Context, size int64) error {
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case s.srcErr != nil && s.blobLen < size:
		return &brokenOffError{s.blobLen, size, s.srcErr}
	case s.srcErr != nil:
		return s.srcErr
	case tooBigForWindow(s.decErr) && s.window+1 < len(windows):
		return errWindow
	}
	return nil
}

// sums are those of a stream that was read to its end.
func (s *stream) sums() Sums {
	sums := Sums{Size: s.blobLen, Encoding: s.encoding}
	if s.opts.Trust {
		return sums
	}
	sums.Digest = "sha256:" + hex.EncodeToString(s.blobSum.Sum(nil))
	sums.DiffID = sums.Digest
	if s.encoding != "" {
		sums.DiffID = "sha256:" + hex.EncodeToString(s.rawSum.Sum(nil))
	}
	return sums
}

func send(ctx context.Context, out chan<- chunk, c chunk) bool {
	select {
	case out <- c:
		return true
	case <-ctx.Done():
		return false
	}
}
