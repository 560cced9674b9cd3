// SPDX-License-Identifier: Apache-2.0

// Package blob reads the blob of a layer: to its end, both digests checked on the way, again
// where a connection broke. Nobody else knows how layers are compressed.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"
)

// Source is where a blob comes from.
type Source struct {
	Open func() (io.ReadCloser, error)
	Size int64 // that it should have, in bytes
}

// Options bound what a blob may be.
type Options struct {
	Trust         bool  // its digests: nothing is hashed
	MaxBytes      int64 // decoded
	MaxRatio      int64 // how much smaller it may be than its content,
	MaxRatioAfter int64 // once that exceeds so many bytes
	// Acquire waits until there is memory for a blob, so many times as much as most take.
	Acquire func(ctx context.Context, times int) (release func(), err error)
}

// Sums are what was learned by reading a blob to its end.
type Sums struct {
	Size     int64  // in bytes
	Encoding string // "gzip", "zstd", or "" for none
	Digest   string // of the blob; "" if trusted
	DiffID   string // of its content; "" if trusted
}

// windows are what zstd frames may ask for, and how much memory that takes: it
// stays bounded whatever the frames say. zstd itself accepts the largest without a
// flag (--long=27); encoders in use for images ask for the first or the second.
// A decoder that is not lean holds two windows; a lean one holds little more than one and
// moves it for each megabyte, which at 8 MiB takes as long as decoding.
var windows = []struct {
	bytes uint64
	times int
	lean  bool
}{{8 << 20, 1, false}, {32 << 20, 2, false}, {128 << 20, 1 << 20, true}}

// pauses are waited for before a blob that broke off is read again.
var pauses = []time.Duration{time.Second, 3 * time.Second}

// errWindow means that a blob has to be read again, with more memory.
var errWindow = errors.New("a zstd frame needs a larger window")

// brokenOffError is a blob that ended with an error before its time.
type brokenOffError struct {
	read, size int64
	err        error
}

func (e *brokenOffError) Error() string {
	return fmt.Sprintf("broke off after %d of %d bytes: %v", e.read, e.size, e.err)
}

func (e *brokenOffError) Unwrap() error { return e.err }

// Read has use see the content of a blob, from its start each time that it is read: a
// connection that broke, and a frame that needs more memory, are reasons to read it again.
// What is wrong with the content is an error of the reader that use gets; that of Read
// is one of the source or of ctx. The sums are complete if use read to the end.
func Read(ctx context.Context, src Source, o Options, use func(content io.Reader)) (Sums, error) {
	window := 0
	for tries := 0; ; {
		sums, err := readOnce(ctx, src, o, window, use)
		var broken *brokenOffError
		switch {
		case errors.Is(err, errWindow):
			window++
		case errors.As(err, &broken) && tries < len(pauses):
			if err := sleep(ctx, pauses[tries]); err != nil {
				return Sums{}, err
			}
			tries++
		default:
			return sums, err
		}
	}
}

func readOnce(ctx context.Context, src Source, o Options, window int, use func(io.Reader)) (Sums, error) {
	release, err := o.Acquire(ctx, windows[window].times)
	if err != nil {
		return Sums{}, err
	}
	defer release()
	blob, err := src.Open()
	if err != nil {
		return Sums{}, err
	}
	s := newStream(ctx, blob, o, window)
	use(s)
	s.close()
	if windows[window].lean {
		debug.FreeOSMemory() // or the next blob's window comes on top of this one's
	}
	return s.sums(), s.failure(ctx, src.Size)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
