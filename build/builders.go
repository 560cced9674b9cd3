// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/record"
)

// errMoved means that a solve was cut short because its builder is lost, and another takes over.
var errMoved = errors.New("its BuildKit is lost")

func newBuilders(o Options) (all []*builder) {
	for _, address := range o.Builders {
		b := &builder{Options: o.Engine, jobs: make(chan struct{}, o.Jobs), lost: make(chan struct{})}
		b.Address = address
		all = append(all, b)
	}
	return all
}

// open starts or connects to the builders once, for the first cell that needs one. Of several
// some may be absent; that all are is an error.
func (r *run) open(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.checkDisk(ctx); err != nil {
		return err
	}
	r.opened = true
	r.introduce()
	var group sync.WaitGroup
	for _, b := range r.builders {
		group.Go(func() { r.openOne(ctx, b) })
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.living() == 0 {
		return r.noneLeft()
	}
	for _, b := range r.builders {
		if b.engine == nil { // said when it is known that there are others
			r.warnLost(b)
		}
	}
	if len(r.Proxy.Variables()) > 0 && r.Engine.Address != "" {
		r.Log.Warn("steps get the proxy of http_proxy; what BuildKit pulls itself goes by the proxy that it was started with", "builder", r.names())
	}
	return nil
}

func (r *run) openOne(ctx context.Context, b *builder) {
	e, err := engine.Open(ctx, b.Options)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return
	default:
		b.end(err)
		return
	}
	b.engine, b.version = e, e.Version
	watched, unwatch := context.WithCancel(context.WithoutCancel(ctx)) // close ends it
	b.unwatch = unwatch
	b.watch.Go(func() {
		if err := e.Silent(watched, b.Options); err != nil && !r.lose(b, &engine.AddressError{Address: b.Address, Err: err}) {
			r.Log.Warn("BuildKit has not answered for a while; still waiting for it", "address", cmp.Or(b.name(), e.Address()))
		}
	})
}

// close ends all builders once; a second call waits for the first.
func (r *run) close() (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.builders {
		if r.closed || b.engine == nil {
			continue
		}
		b.unwatch()
		b.watch.Wait()
		err = errors.Join(err, b.engine.Close())
	}
	r.closed = true
	return err
}

// lose takes a builder out of the run if others are left to take over, which it reports.
func (r *run) lose(b *builder, err error) bool {
	if b.isLost() {
		return true
	}
	if r.living() < 2 {
		return false
	}
	if b.end(err) {
		r.warnLost(b)
	}
	return true
}

func (r *run) warnLost(b *builder) {
	r.Log.Warn("a BuildKit is lost; the others build what it was to build", "builder", b.name(), "error", b.err.Error()) // %+v of BuildKit's own has a stack
}

func (r *run) living() (n int) {
	for _, b := range r.builders {
		if !b.isLost() {
			n++
		}
	}
	return n
}

// noneLeft says why there is no builder.
func (r *run) noneLeft() error {
	var all error
	for _, b := range r.builders {
		switch {
		case !b.isLost():
		case all == nil:
			all = b.err
		default:
			all = fmt.Errorf("%w; %w", all, b.err)
		}
	}
	return all
}

// ends ends the run for want of what all images need, but for the sake of one that must be made
// alone: one that a cache lacks is there already. The first cause stays, so an interrupt that ended
// the daemon wins.
func (r *run) ends(m *manifest, err error) error {
	if !m.spare {
		r.cancel(err)
	}
	return err
}

// at has something done by the builder of an image's family, as one of its jobs, and by the next
// one if that is lost: then the error is errMoved. The context of do ends when its builder is lost.
func (r *run) at(ctx context.Context, m *manifest, do func(context.Context, *builder) error) error {
	for {
		b, err := r.builder(ctx, m)
		if err != nil {
			return err
		}
		there, cancel := b.whileThere(ctx)
		err = do(there, b)
		cancel()
		<-b.jobs
		if !errors.Is(err, errMoved) {
			return err
		}
	}
}

// builder returns the one that an image's family is placed on, when that has room for another
// job. Give its token back.
func (r *run) builder(ctx context.Context, m *manifest) (*builder, error) {
	for {
		b, err := r.placed(ctx, m)
		if err != nil {
			return nil, err
		}
		select {
		case b.jobs <- struct{}{}:
			return b, nil
		case <-b.lost:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// placed returns the builder of an image's family. Those that were on a lost one are placed anew.
func (r *run) placed(ctx context.Context, m *manifest) (*builder, error) {
	if err := r.open(ctx); err != nil {
		return nil, r.ends(m, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if at, ok := r.places[m.family()]; !ok || r.builders[at].isLost() {
		r.place()
	}
	at, ok := r.places[m.family()]
	switch {
	case ok:
	case r.living() < len(r.builders):
		return nil, r.ends(m, r.noneLeft())
	default:
		return nil, r.noPlatform(m)
	}
	r.builders[at].used = true
	return r.builders[at], nil
}

// place gives each family of the run that is on no living builder one of those that run its platform.
func (r *run) place() {
	platforms := map[string]string{} // of each family
	var families, names []string
	for m := range r.manifests() {
		if _, known := platforms[m.family()]; !known {
			families = append(families, m.family())
		}
		platforms[m.family()] = m.platform
	}
	for _, b := range r.builders {
		names = append(names, b.name())
	}
	for family, at := range r.places {
		if r.builders[at].isLost() {
			delete(r.places, family)
		}
	}
	distribute(r.places, families, names, func(family string, at int) bool {
		return !r.builders[at].isLost() && r.builders[at].can(platforms[family])
	})
}

// names are the addresses of all builders.
func (r *run) names() string {
	var all []string
	for _, b := range r.builders {
		all = append(all, b.name())
	}
	return strings.Join(all, ", ")
}

// recorded says what became of the builders that the user named.
func (r *run) recorded() (all []record.Builder) {
	for _, b := range r.builders {
		if b.Address != "" {
			all = append(all, b.recorded())
		}
	}
	return all
}

// builders are the addresses of those that have built a cell's images, each once.
func (t *task) builders() (names []string) {
	for _, m := range t.manifests {
		if m.by != nil && m.by.Address != "" && !slices.Contains(names, m.by.name()) {
			names = append(names, m.by.name())
		}
	}
	return names
}
