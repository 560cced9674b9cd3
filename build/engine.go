// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/cause"
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
	if r.Engine.Address != "" && len(r.Proxy.Variables()) > 0 {
		r.Log.Warn("steps get the proxy of http_proxy; what BuildKit pulls itself goes by the proxy that it was started with", "builder", r.Engine.Address)
	}
	r.engine, r.buildkit = e, e.Version
	watched, unwatch := context.WithCancel(context.WithoutCancel(ctx)) // closeEngine ends it
	r.unwatch = unwatch
	r.watch.Go(func() {
		if e.Silent(watched, r.Engine) {
			r.Log.Warn("BuildKit has not answered for a while; still waiting for it", "address", cmp.Or(r.Engine.Address, e.Address()))
		}
	})
	return e, nil
}

// prepare makes sure, before anything is made, of what all of it will need: room, and
// the daemon that the user named.
func (r *run) prepare(ctx context.Context) error {
	if r.Engine.Address == "" {
		return r.checkDisk(ctx)
	}
	_, err := r.openEngine(ctx)
	return err
}

// diagnose looks behind the failure of a solve: if the daemon, a server of packages or the
// registry of a vendor's image is gone or a disk is full, that is the cause, and it ends the run.
func (r *run) diagnose(ctx context.Context, m *manifest, e *engine.Engine, err error) error {
	explained := r.Display.Explain(err)
	end := r.diskFull(explained)
	var known *cause.Error
	said := errors.As(explained, &known) // by a step, so its root is there
	var pull error
	from := r.bases[m.baseKey()].Base
	if !said && end == nil {
		pull = r.Bases.Pullable(ctx, from)
	}
	switch {
	case errors.Is(pull, base.ErrUnreachable):
		end = fmt.Errorf("%w (%w)", pull, explained)
	case pull != nil:
		return fmt.Errorf("%w (%w)", pull, explained)
	case grpcerrors.Code(err) == codes.Unavailable:
		end = r.gone(e, err)
	case end != nil:
	case !said:
		if unreachable := r.Bases.Reachable(ctx, from); unreachable != nil {
			end = fmt.Errorf("%w (%w)", unreachable, explained)
		}
	case known.Outage():
		end = &base.UnreachableError{What: "the repository", Err: explained}
	}
	if end == nil {
		return explained
	}
	r.cancel(end) // the first cause stays: an interrupt that ended the daemon wins
	return end
}

// gone says how a daemon that no longer answers has ended. Its connection breaks before
// its end is seen, on a busy machine long before.
func (r *run) gone(e *engine.Engine, err error) error {
	if r.Engine.Address != "" {
		return &engine.AddressError{Address: r.Engine.Address, Err: err}
	}
	select {
	case <-e.Died():
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, e.Failure())
	case <-time.After(30 * time.Second):
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
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
	r.unwatch()
	r.watch.Wait()
	return e.Close()
}
