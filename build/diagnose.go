// SPDX-License-Identifier: Apache-2.0

package build

import (
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

// prepare makes sure, before anything is made, of what all of it will need: room, and
// a daemon that the user named.
func (r *run) prepare(ctx context.Context) error {
	if r.Engine.Address == "" {
		return r.checkDisk(ctx)
	}
	return r.open(ctx)
}

// diagnose looks behind the failure of a solve: if the daemon, a server of packages or the
// registry of a vendor's image is gone or a disk is full, that is the cause, and it ends the run.
// The error is errMoved if another daemon takes over.
func (r *run) diagnose(ctx context.Context, m *manifest, b *builder, err error) error {
	if r.hasMoved(ctx, b, err) {
		return errMoved
	}
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
		if end = r.dead(b, err); r.lose(b, end) {
			return errMoved
		}
		b.end(end)
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
	return r.ends(m, end)
}

// hasMoved reports whether a solve failed because its daemon is lost, as one that ends tells in
// many ways, and others are there.
func (r *run) hasMoved(ctx context.Context, b *builder, err error) bool {
	switch {
	case ctx.Err() != nil, len(r.builders) == 1:
		return false
	case b.isLost():
		return true
	case b.engine.Answers(ctx, b.Options) == nil:
		return false
	}
	return ctx.Err() == nil && r.lose(b, &engine.AddressError{Address: b.Address, Err: err})
}

// dead says how a daemon that no longer answers has ended. Its connection breaks before
// its end is seen, on a busy machine long before.
func (r *run) dead(b *builder, err error) error {
	if b.Address != "" {
		return &engine.AddressError{Address: b.Address, Err: err}
	}
	select {
	case <-b.engine.Died():
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, b.engine.Failure())
	case <-time.After(30 * time.Second):
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
}
