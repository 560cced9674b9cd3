// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"

	"github.com/cudabuild/cudabuild/engine"
)

// openEngine starts or connects to the daemon once, for the first cell that needs
// it. A run without a daemon cannot go on, so a failure ends it.
func (r *run) openEngine(ctx context.Context) (*engine.Engine, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.engine != nil {
		return r.engine, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.checkDisk(ctx); err != nil {
		return nil, err
	}
	e, err := engine.Open(ctx, r.Engine)
	if err != nil {
		r.cancel(err)
		return nil, err
	}
	r.engine = e
	return e, nil
}

// diagnose looks behind the failure of a solve: if the daemon is gone or the disk
// is full, that is the cause, and it ends the run.
func (r *run) diagnose(e *engine.Engine, err error) error {
	cause := diskFull(r.Engine.StateDir)
	if grpcerrors.Code(err) == codes.Unavailable {
		cause = fmt.Errorf("%w: %w", engine.ErrUnavailable, err) // a given daemon is gone
		select {
		case <-e.Died():
			cause = fmt.Errorf("%w: %w", engine.ErrUnavailable, e.Failure())
		case <-time.After(time.Second):
		}
	}
	if cause == nil {
		return r.Display.Explain(err)
	}
	r.cancel(cause) // the first cause stays: an interrupt that ended the daemon wins
	return cause
}

// closeEngine ends the daemon once; a second call waits for the first.
func (r *run) closeEngine() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.engine == nil {
		return nil
	}
	e := r.engine
	r.engine = nil
	return e.Close()
}
