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
	cell   matrix.Cell
	below  []*task // the selected cells that it stands on or is compiled in
	parts  []*part // one a platform, in the cell's order
	result record.Cell

	judged chan struct{} // closed when result is final
}

// part is the image of a cell for one of its platforms.
type part struct {
	*task

	platform string
	on       []*part // of the same platform, in the cells below

	evaluated chan struct{} // closed when the graph is solved, or will not be
	solved    bool          // valid once evaluated is closed
	begun     time.Time     // of the solve; zero if there was none
}

// built is an image that a solve or an earlier run left in the store.
type built struct {
	desc   ocispec.Descriptor
	cached bool
}

// whole is what a cell's tags name: its one image, or an index of its images.
type whole struct {
	built

	images []built // in the order of the parts
}

func newTask(cell matrix.Cell) *task {
	t := &task{
		cell:   cell,
		judged: make(chan struct{}),
		result: record.Cell{
			ID: cell.ID, Status: record.Cancelled, Reason: "not started: the run ended first", Tags: cell.Tags,
			Images: []verify.Report{}, Rows: []struct{}{},
		},
	}
	for _, platform := range cell.Platforms {
		t.parts = append(t.parts, &part{task: t, platform: platform, evaluated: make(chan struct{})})
	}
	return t
}

// stackOn notes a cell below. What it lacks for a platform is solved here.
func (t *task) stackOn(below *task) {
	t.below = append(t.below, below)
	for _, p := range t.parts {
		for _, q := range below.parts {
			if p.platform == q.platform {
				p.on = append(p.on, q)
			}
		}
	}
}

// parts are the images of all cells.
func (r *run) parts() iter.Seq[*part] {
	return func(yield func(*part) bool) {
		for _, t := range r.tasks {
			for _, p := range t.parts {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// name is what people see: the platform counts where there are several.
func (p *part) name() string {
	if len(p.parts) == 1 {
		return p.cell.ID
	}
	return p.cell.ID + " " + p.platform
}

// failure is an error of one image as an error of its cell.
func (p *part) failure(err error) error {
	var skip *skipError
	if err == nil || len(p.parts) == 1 || errors.As(err, &skip) {
		return err
	}
	return fmt.Errorf("%s: %w", p.platform, err)
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
	for _, p := range t.parts {
		if first.IsZero() || !p.begun.IsZero() && p.begun.Before(first) {
			first = p.begun
		}
	}
	return first
}

// settled waits for the verdicts on the cells below; none is tagged on one that failed.
func (t *task) settled(ctx context.Context) error {
	for _, below := range t.below {
		select {
		case <-below.judged:
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
func (p *part) ready(ctx context.Context) error {
	for _, below := range p.on {
		select {
		case <-below.evaluated:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !below.solved {
			<-below.judged
			return &skipError{below.task}
		}
	}
	return nil
}

// evaluate tells the images above that this one's graph is solved.
func (p *part) evaluate() {
	p.solved = true
	close(p.evaluated)
}

// close tells them that it never will be, if it is not.
func (p *part) close() {
	if !p.solved {
		close(p.evaluated)
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
