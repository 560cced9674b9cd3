// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"sync"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/record"
)

// base is the root of one OS for one platform, made by the first cell that asks.
type root struct {
	base.Base

	once  sync.Once
	input llb.Base
	err   error
}

func (m *manifest) baseKey() string { return m.cell.OS + " " + m.platform }

func (r *run) prepareBases() {
	for m := range r.manifests() {
		if r.bases[m.baseKey()] == nil {
			r.bases[m.baseKey()] = &root{}
		}
	}
}

// base returns the root that an image starts from.
func (r *run) base(ctx context.Context, m *manifest) (llb.Base, error) {
	b := r.bases[m.baseKey()]
	b.once.Do(func() { b.err = r.bootstrap(ctx, b, m) })
	if b.err != nil {
		return llb.Base{}, &stageError{record.StageBootstrap, b.err}
	}
	return b.input, nil
}

func (r *run) bootstrap(ctx context.Context, b *root, m *manifest) (err error) {
	os := m.cell.Recipe.OS
	title := "bootstrap " + os.Bootstrap.Suite + " for " + m.platform
	switch _, known := r.Bases.Known(ctx, m.cell.Recipe, m.platform); {
	case os.Image != "":
		title = "resolve " + os.Image + " for " + m.platform
	case (!known || r.Bases.Refresh) && r.bootstrapsThere(m.platform):
		title += " in BuildKit"
	}
	done := r.Display.Step("[" + os.Name + "] " + title)
	defer func() { done(err) }()
	if _, known := r.Bases.Known(ctx, m.cell.Recipe, m.platform); !known || r.Bases.Refresh {
		if err := r.prepare(ctx); err != nil {
			return err
		}
	}
	if b.Base, err = r.store(m).Base(ctx, m.cell.Recipe, m.platform); err != nil {
		if full := r.diskFull(err); full != nil {
			err = full
			r.cancel(err)
		} else if errors.Is(err, base.ErrUnavailable) || errors.Is(err, base.ErrUnreachable) || errors.Is(err, engine.ErrUnavailable) { // for any other OS too
			r.cancel(err)
		}
		return err
	}
	b.input, err = r.input(ctx, b.Base)
	return err
}

// store is the bases' that knows this machine's apt, and bootstraps in the BuildKit that the
// user named where this machine cannot.
func (r *run) store(m *manifest) *base.Store {
	s := *r.Bases
	if s.Settings = r.AptConfig; r.Engine.Address != "" {
		s.Elsewhere = elsewhere{r, m}
	}
	return &s
}

// input is a base as the graph refers to it.
func (r *run) input(ctx context.Context, b base.Base) (llb.Base, error) {
	config, err := r.Bases.Config(ctx, b)
	return llb.Base{Root: b.Root, Image: b.Image, Lists: b.Lists, Config: config, Epoch: b.Epoch.Unix()}, err
}
