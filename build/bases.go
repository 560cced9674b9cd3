// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"sync"

	"github.com/cudabuild/cudabuild/bootstrap"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
)

// base is the root of one OS, made by the first cell that asks.
type base struct {
	bootstrap.Base

	once  sync.Once
	input llb.Base
	err   error
}

func baseKey(c matrix.Cell) string { return c.OS + " " + platform(c) }

// platform is the one platform of a cell. The matrix accepts no second one as long
// as no release names it.
func platform(c matrix.Cell) string { return c.Platforms[0] }

func (r *run) prepareBases() {
	for _, t := range r.tasks {
		if r.bases[baseKey(t.cell)] == nil {
			r.bases[baseKey(t.cell)] = &base{}
		}
	}
}

// base returns the root that a cell starts from.
func (r *run) base(ctx context.Context, c matrix.Cell) (llb.Base, error) {
	b := r.bases[baseKey(c)]
	b.once.Do(func() { b.err = r.bootstrap(ctx, b, c) })
	if b.err != nil {
		return llb.Base{}, &stageError{record.StageBootstrap, b.err}
	}
	return b.input, nil
}

func (r *run) bootstrap(ctx context.Context, b *base, c matrix.Cell) (err error) {
	os, _ := r.Catalog.OS(c.OS)
	title := "bootstrap " + os.Bootstrap.Suite
	if os.Image != "" {
		title = "pull " + os.Image
	}
	done := r.Display.Step("[" + os.Name + "] " + title)
	defer func() { done(err) }()
	if _, known := r.Bases.Known(ctx, os, platform(c)); !known || r.Bases.Refresh {
		if err := r.prepare(ctx); err != nil {
			return err
		}
	}
	if b.Base, err = r.Bases.Base(ctx, os, platform(c)); err != nil {
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
