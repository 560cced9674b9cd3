// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"

	bk "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/llb"
)

// elsewhere makes the root of an image in a BuildKit that the user named: that of the image's family.
type elsewhere struct {
	*run

	m *manifest
}

var _ base.Elsewhere = elsewhere{}

// bootstrapsThere reports whether a root that is missing is made in BuildKit: the user named
// one, and this machine cannot.
func (r *run) bootstrapsThere(platform string) bool {
	return r.Engine.Address != "" && base.Here(platform) != nil
}

// Run solves a step. Whatever BuildKit keeps of it, secrets are no part of it.
func (r elsewhere) Run(ctx context.Context, s base.Step, dir string) error {
	graph := llb.Bootstrap{
		OS: s.OS, Platform: s.Platform, Image: s.Image, Install: s.Install, Script: s.Script, Title: s.Title,
		Arguments: s.Arguments, Env: s.Env, Out: base.Out, Again: s.Again,
	}
	if r.solved != nil {
		graph.Proxy = r.solved.Proxy
	}
	def, pull, err := graph.Compile(ctx)
	if err != nil {
		return err
	}
	return r.at(ctx, r.m, func(there context.Context, b *builder) error {
		statuses, seen := r.Display.Solve(s.OS)
		_, err := b.engine.Client.Solve(there, def, bk.SolveOpt{
			Exports: []bk.ExportEntry{{Type: bk.ExporterLocal, OutputDir: dir}},
			Session: []session.Attachable{r.credentials(b), secretsprovider.FromMap(map[string][]byte{
				llb.AptConfigSecret: r.aptConfig(), llb.SourcesSecret: s.Sources,
			})},
		}, statuses)
		<-seen
		var failed *errdefs.VertexError
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case r.hasMoved(ctx, b, err):
			return errMoved
		case grpcerrors.Code(err) == codes.Unavailable:
			return r.dead(b, err)
		case errors.As(err, &failed) && failed.Digest == pull.String():
			return &PullError{Image: s.Image, OS: s.OS, Builder: b.name(), Err: err}
		}
		return r.Display.Explain(err)
	})
}

// PullError means that BuildKit cannot pull the image in which it would make a root. It
// matches [base.ErrUnavailable].
type PullError struct {
	Image, OS, Builder string
	Err                error
}

func (e *PullError) Error() string {
	return fmt.Sprintf("the BuildKit at %s cannot pull %s, in which it makes the root of %s where this machine cannot: %v", e.Builder, e.Image, e.OS, e.Err)
}

// Is makes the error match base.ErrUnavailable.
func (e *PullError) Is(target error) bool { return target == base.ErrUnavailable }
func (e *PullError) Unwrap() error        { return e.Err }

// Hint is what gives it the image, or does without.
func (e *PullError) Hint() string {
	return "name a mirror of the registry in its buildkitd.toml, name another image as bootstrap.image of the OS (--recipes), or bootstrap here: after 'make deps', as root"
}
