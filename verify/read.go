// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// reading says how one layer is read.
type reading struct {
	Options
	window int    // index in windows: the largest zstd window
	watch  string // the base name that Explain asks about, "" for none
}

// windows are what zstd frames may ask for, and how many slots that takes: memory
// stays bounded whatever the frames say. zstd itself accepts the largest without a
// flag (--long=27); encoders in use for images ask for the first or the second.
// A decoder that is not lean holds two windows; a lean one holds little more than one and
// moves it for each megabyte, which at 8 MiB takes as long as decoding.
var windows = []struct {
	bytes uint64
	slots int
	lean  bool
}{{8 << 20, 1, false}, {32 << 20, 2, false}, {128 << 20, 1 << 20, true}}

// pauses are waited for before a blob that broke off is read again.
var pauses = []time.Duration{time.Second, 3 * time.Second}

// errWindow means that a layer has to be read again, with more memory.
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

// read returns the facts of one layer. It reads the blob again where that can
// help: a connection that broke, a frame that needs more memory.
func (v *Verifier) read(ctx context.Context, ref layerRef, watch string) (*layerFacts, error) {
	how := reading{Options: v.opts, watch: watch}
	for tries := 0; ; {
		facts, err := v.readOnce(ctx, ref, how)
		var broken *brokenOffError
		switch {
		case errors.Is(err, errWindow):
			how.window++
		case errors.As(err, &broken) && tries < len(pauses):
			if err := sleep(ctx, pauses[tries]); err != nil {
				return nil, err
			}
			tries++
		default:
			return facts, err
		}
	}
}

func (v *Verifier) readOnce(ctx context.Context, ref layerRef, how reading) (*layerFacts, error) {
	release, err := v.slots.acquire(ctx, ref.size, windows[how.window].slots)
	if err != nil {
		return nil, err
	}
	defer release()
	src, err := ref.layer.Compressed()
	if err != nil {
		return nil, err
	}
	facts, err := scanLayer(ctx, src, ref, how)
	if windows[how.window].lean {
		debug.FreeOSMemory() // or the next layer's window comes on top of this one's
	}
	return facts, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
