// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"sync"

	"github.com/cudabuild/cudabuild/bootstrap"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/record"
)

// base is the root of one OS for one platform, made by the first cell that asks.
type base struct {
	bootstrap.Base

	once  sync.Once
	input llb.Base
	err   error
}

func (p *part) baseKey() string { return p.cell.OS + " " + p.platform }

func (r *run) prepareBases() {
	for p := range r.parts() {
		if r.bases[p.baseKey()] == nil {
			r.bases[p.baseKey()] = &base{}
		}
	}
}

// base returns the root that an image starts from.
func (r *run) base(ctx context.Context, p *part) (llb.Base, error) {
	b := r.bases[p.baseKey()]
	b.once.Do(func() { b.err = r.bootstrap(ctx, b, p) })
	if b.err != nil {
		return llb.Base{}, &stageError{record.StageBootstrap, b.err}
	}
	return b.input, nil
}

func (r *run) bootstrap(ctx context.Context, b *base, p *part) (err error) {
	os := p.cell.Recipe.OS
	title := "bootstrap " + os.Bootstrap.Suite
	if os.Image != "" {
		title = "pull " + os.Image
	}
	done := r.Display.Step("[" + os.Name + "] " + title + " for " + p.platform)
	defer func() { done(err) }()
	if _, known := r.Bases.Known(ctx, os, p.platform); !known || r.Bases.Refresh {
		if err := r.prepare(ctx); err != nil {
			return err
		}
	}
	if b.Base, err = r.Bases.Base(ctx, os, p.platform); err != nil {
		if full := r.diskFull(err); full != nil {
			err = full
			r.cancel(err)
		} else if errors.Is(err, bootstrap.ErrUnavailable) || errors.Is(err, bootstrap.ErrUnreachable) { // for any other OS too
			r.cancel(err)
		}
		return err
	}
	b.input, err = r.input(ctx, b.Base)
	return err
}

// input is a base as the graph refers to it.
func (r *run) input(ctx context.Context, b bootstrap.Base) (llb.Base, error) {
	config, err := r.Bases.Config(ctx, b)
	return llb.Base{Root: b.Root, Index: b.Index, Config: config, Epoch: b.Epoch.Unix()}, err
}
