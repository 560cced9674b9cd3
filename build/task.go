// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// task is one cell on its way.
type task struct {
	cell      matrix.Cell
	below     []*task     // the selected cells that it stands on or is compiled in
	manifests []*manifest // one a platform, in the cell's order
	result    record.Cell

	done chan struct{} // closed when result is final
}

// manifest is the image of a cell for one of its platforms.
type manifest struct {
	*task
	cached

	platform string
	on       []*manifest // of the same platform, in the cells below

	evaluated chan struct{} // closed when the graph is solved, or will not be
	solved    bool          // valid once evaluated is closed
	begun     time.Time     // of the solve; zero if there was none
	by        *builder      // of the solve; nil if there was none
}

// built is an image that a solve or an earlier run left in the store.
type built struct {
	desc   ocispec.Descriptor
	made   record.Made
	cached bool
}

// index is what a cell's tags name: its one image, or an index of its images.
type index struct {
	built

	images []built // in the order of the manifests
}

func newTask(cell matrix.Cell) *task {
	t := &task{
		cell: cell,
		done: make(chan struct{}),
		result: record.Cell{
			ID: cell.ID, Status: record.Cancelled, Reason: "not started: the run ended first", Tags: cell.Tags,
			Images: []verify.Report{}, Rows: []record.Row{},
		},
	}
	for _, platform := range cell.Platforms {
		t.manifests = append(t.manifests, &manifest{task: t, platform: platform, evaluated: make(chan struct{})})
	}
	return t
}

// stackOn notes a cell below. What it lacks for a platform is solved here.
func (t *task) stackOn(below *task) {
	t.below = append(t.below, below)
	for _, m := range t.manifests {
		for _, n := range below.manifests {
			if m.platform == n.platform {
				m.on = append(m.on, n)
			}
		}
	}
}

// manifests are the images of all cells.
func (r *run) manifests() iter.Seq[*manifest] {
	return func(yield func(*manifest) bool) {
		for _, t := range r.tasks {
			for _, m := range t.manifests {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// name is what people see: the platform counts where there are several.
func (m *manifest) name() string {
	if len(m.manifests) == 1 {
		return m.cell.ID
	}
	return m.cell.ID + " " + m.platform
}

// failure is an error of one image as an error of its cell.
func (m *manifest) failure(err error) error {
	var skip *skipError
	if err == nil || len(m.manifests) == 1 || errors.As(err, &skip) {
		return err
	}
	return fmt.Errorf("%s: %w", m.platform, err)
}

// failures joins the errors of a cell's images. That one was skipped says nothing
// beside the failure of another.
func failures(errs []error) error {
	var all error
	var skip *skipError
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil, errors.As(all, &skip):
			all = err
		case !errors.As(err, &skip):
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// started is when the first solve for the cell began, zero if there was none.
func (t *task) started() time.Time {
	var first time.Time
	for _, m := range t.manifests {
		if first.IsZero() || !m.begun.IsZero() && m.begun.Before(first) {
			first = m.begun
		}
	}
	return first
}

// settled waits for the verdicts on the cells below; none is tagged on one that failed.
func (t *task) settled(ctx context.Context) error {
	for _, below := range t.below {
		select {
		case <-below.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if below.result.Status != record.Passed {
			return &skipError{below}
		}
	}
	return nil
}

// ready waits until the images below are solved, not until they are exported: their
// layers are then there to build on.
func (m *manifest) ready(ctx context.Context) error {
	for _, below := range m.on {
		select {
		case <-below.evaluated:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !below.solved {
			<-below.done
			return &skipError{below.task}
		}
	}
	return nil
}

// evaluate tells the images above that this one's graph is solved, once.
func (m *manifest) evaluate() {
	if !m.solved {
		m.solved = true
		close(m.evaluated)
	}
}

// close tells them that it never will be, if it is not.
func (m *manifest) close() {
	if !m.solved {
		close(m.evaluated)
	}
}

// stageError is the failure of one cell at one stage.
type stageError struct {
	stage string
	err   error
}

func (e *stageError) Error() string { return e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

// skipError means that a cell below did not pass.
type skipError struct{ below *task }

func (e *skipError) Error() string {
	return fmt.Sprintf("%s %s", e.below.cell.ID, e.below.result.Status)
}
