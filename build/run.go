// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/disk"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/record"
)

// errFailFast ends a run at its first failed cell.
var errFailFast = errors.New("a cell failed")

// run is the state that the tasks of one Run share.
type run struct {
	Options

	tasks    []*task
	compiler *llb.Compiler // of what an image depends on
	solved   *llb.Compiler // of the same with a proxy, nil if there is none
	memo     *memo
	bases    map[string]*root
	builders []*builder // never empty

	cancel  context.CancelCauseFunc
	disk    sync.Once
	diskErr error          // valid once disk is done
	mu      sync.Mutex     // guards what follows
	opened  bool           // the builders are, by the first task that must solve
	closed  bool           // and closed again
	places  map[string]int // of families among the builders
	failed  *image.Store   // opened by the first image that fails

	saidTools sync.Map // those of which a warning was given

	caching
}

// all runs every task and cleans up behind them.
func (r *run) all(parent context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	r.cancel = cancel
	r.prepareBases()
	// A solve that is cancelled may take seconds to notice: end the daemon first.
	stop := context.AfterFunc(ctx, func() { _ = r.close() }) // its error comes again below
	defer func() {
		stop()
		// A session to a daemon that hangs ends only with its connection.
		err = errors.Join(err, r.close(), r.closeCaches(), r.Images.DropUnfinished(), r.closeFailed(), r.memo.save())
	}()
	if err := r.repair(ctx); err != nil {
		return err
	}
	if err := r.openCaches(ctx); err != nil {
		return err
	}
	if err := r.checkPlatforms(ctx); err != nil {
		return err
	}
	if err := r.checkLock(ctx); err != nil {
		return err
	}
	var group sync.WaitGroup
	for _, t := range r.tasks {
		group.Go(func() { r.task(ctx, t) })
	}
	group.Wait()
	r.sending.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errFailFast) {
		return cause
	}
	return r.prune(parent)
}

// prune drops blobs that no image needs any more, after a run in which all passed, and
// what is remembered of images that are gone.
func (r *run) prune(ctx context.Context) error {
	for _, t := range r.tasks {
		if t.result.Status != record.Passed {
			return nil
		}
	}
	if done, err := r.Images.Prune(ctx, false); err != nil || done.Unknown != nil { // an image of another run is not whole
		r.Log.Warn("nothing was pruned", "error", errors.Join(done.Unknown, err))
	}
	r.memo.keep(func(desc ocispec.Descriptor) bool {
		_, err := r.Images.Content().Info(ctx, desc.Digest)
		return err == nil
	})
	return nil
}

// task brings one cell from its recipe to its tag.
func (r *run) task(ctx context.Context, t *task) {
	defer close(t.done)
	b, err := r.build(ctx, t)
	if err == nil {
		err = r.gate(ctx, t, b)
	}
	if err == nil {
		r.export(ctx, t)
	}
	t.result.Cached = err == nil && b.cached
	if started := t.started(); !started.IsZero() {
		t.result.BuildSeconds = time.Since(started).Seconds()
	}
	if disk.Full(err) {
		r.cancel(cmp.Or(r.diskFull(err), err))
	}
	r.settle(ctx, t, err)
}

// settle turns the end of a task into its result.
func (r *run) settle(ctx context.Context, t *task, err error) {
	var skip *skipError
	var stage *stageError
	switch {
	case err == nil:
		t.result.Status, t.result.Reason = record.Passed, ""
	case ctx.Err() != nil:
		if !t.started().IsZero() {
			t.result.Reason = "the run ended first"
		}
		r.Log.Debug("cancelled", "cell", t.cell.ID, "error", err)
	case errors.As(err, &skip):
		t.result.Status, t.result.Reason = record.Skipped, err.Error()
	default:
		t.result.Status, t.result.Stage, t.result.Reason = record.Failed, record.StageBuild, err.Error()
		t.result.Hint = hint.Of(err)
		if errors.As(err, &stage) {
			t.result.Stage = stage.stage
		}
		if r.FailFast {
			r.cancel(errFailFast)
		}
	}
}

func (r *run) record() *record.Run {
	result := &record.Run{Version: 1, Inputs: []record.Input{}, Cells: []record.Cell{}, Builders: r.recorded(), Lock: r.lockDigest()}
	for _, b := range r.bases {
		if b.Root != "" {
			result.Inputs = append(result.Inputs, record.Input{
				OS: b.OS, Platform: b.Platform, Root: b.Root.String(), Lists: b.Lists.String(), Date: b.Epoch,
			})
		}
	}
	slices.SortFunc(result.Inputs, func(a, b record.Input) int {
		return cmp.Or(cmp.Compare(a.OS, b.OS), cmp.Compare(a.Platform, b.Platform))
	})
	for _, t := range r.tasks {
		t.result.Builders = t.builders()
		t.result.Caches = r.caches(t)
		result.Cells = append(result.Cells, t.result)
	}
	if r.cache != nil {
		result.Totals.CacheFetchedBytes, result.Totals.CacheSentBytes = r.cache.Fetched(), r.cache.Sent()
	}
	result.Totals.SizeBytes = result.Size(context.Background(), r.Images)
	result.Sum()
	return result
}
