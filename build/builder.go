// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"slices"
	"sync"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/record"
)

// builder is one BuildKit of a run: the one that we own, or one of those that the user named.
type builder struct {
	engine.Options

	jobs    chan struct{}  // one token a solve in flight
	engine  *engine.Engine // nil while it is not open
	version string         // "" if it does not say one
	used    bool           // it has been given a family
	watch   sync.WaitGroup // of what looks whether it answers
	unwatch func()         // ends that

	gone sync.Once
	lost chan struct{} // closed when it is lost for this run
	err  error         // why, valid once lost is closed
}

// name is what people see, and by what families are placed.
func (b *builder) name() string { return engine.Public(b.Address) }

func (b *builder) isLost() bool {
	select {
	case <-b.lost:
		return true
	default:
		return false
	}
}

// whileThere is a context that ends with ctx, and when the builder is lost.
func (b *builder) whileThere(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-b.lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// can reports whether a builder that is open runs programs of a platform. An owned one runs
// here, where that was looked at before.
func (b *builder) can(platform string) bool {
	return b.Address == "" || slices.Contains(b.engine.Platforms, platform)
}

// end makes a builder lost, and reports whether it was not yet.
func (b *builder) end(err error) (first bool) {
	b.gone.Do(func() {
		first, b.err = true, err
		close(b.lost)
	})
	return first
}

// recorded says what became of a builder.
func (b *builder) recorded() record.Builder {
	result := record.Builder{Address: b.name(), Version: b.version, State: record.BuilderUnused}
	switch {
	case b.isLost():
		result.State, result.Reason = record.BuilderLost, b.err.Error()
	case b.used:
		result.State = record.BuilderUsed
	}
	return result
}
