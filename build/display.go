// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	bk "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/progress/progressui"
	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/internal/cause"
)

// Display shows all cells of a run on one screen, in BuildKit's own form.
type Display struct {
	updates chan *bk.SolveStatus
	done    chan struct{}

	open sync.WaitGroup // solves that still send

	mu     sync.Mutex
	closed bool
	steps  map[digest.Digest]*step
}

// step is what is kept of a step for the case that it fails.
type step struct {
	name   string
	last   [3]string // line of stdout (1) and of stderr (2), which come in any order
	output []byte    // the end of both
}

// maxOutput is how much is kept of the output of a step that runs: hundreds of packages
// that could not be fetched have a line each.
const maxOutput = 256 << 10

// NewDisplay shows progress on w: a screen that redraws itself if w is a terminal,
// else a line an event. A nil w shows nothing.
func NewDisplay(w io.Writer) *Display {
	d := &Display{updates: make(chan *bk.SolveStatus, 64), done: make(chan struct{}), steps: map[digest.Digest]*step{}}
	mode := progressui.AutoMode
	if w == nil {
		w, mode = io.Discard, progressui.QuietMode
	}
	ui, err := progressui.NewDisplay(w, mode)
	go func() {
		defer close(d.done)
		if err == nil {
			_, err = ui.UpdateFrom(context.Background(), d.updates)
		}
		for range d.updates { // a display that failed must not stop the run
		}
	}()
	return d
}

// Close shows what is left and returns when all is shown.
func (d *Display) Close() {
	d.open.Wait()
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.updates)
	}
	d.mu.Unlock()
	<-d.done
}

// Solve returns the channel that a solve of that cell reports to and then closes.
// Steps keep their names; what only this cell does, its export, gets the cell's.
// The other channel is closed when all of it has been taken in, and Explain knows it.
func (d *Display) Solve(cell string) (statuses chan *bk.SolveStatus, seen <-chan struct{}) {
	statuses = make(chan *bk.SolveStatus)
	done := make(chan struct{})
	d.open.Go(func() {
		defer close(done)
		for status := range statuses {
			for _, vertex := range status.Vertexes {
				if !strings.HasPrefix(vertex.Name, "[") {
					vertex.Name = "[" + cell + "] " + vertex.Name
				}
			}
			d.remember(status)
			d.updates <- status
		}
	})
	return statuses, done
}

func (d *Display) remember(status *bk.SolveStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, vertex := range status.Vertexes {
		if d.steps[vertex.Digest] == nil {
			d.steps[vertex.Digest] = &step{name: vertex.Name}
		}
		if vertex.Completed != nil && vertex.Error == "" {
			d.steps[vertex.Digest].output = nil
		}
	}
	for _, log := range status.Logs {
		lines := strings.Split(strings.TrimSpace(string(log.Data)), "\n")
		s := d.steps[log.Vertex]
		if s == nil {
			continue
		}
		if lines[len(lines)-1] != "" {
			s.last[min(max(log.Stream, 0), 2)] = lines[len(lines)-1]
		}
		s.output = append(s.output, log.Data...)
		s.output = s.output[max(0, len(s.output)-maxOutput):]
	}
}

// Explain puts before the error of a failed step the line of the recipe that it comes
// from, its name, and the cause that its output tells, a [cause.Error], or else its last
// line, of stderr if it wrote there.
func (d *Display) Explain(err error) error {
	var failed *errdefs.VertexError
	if !errors.As(err, &failed) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.steps[digest.Digest(failed.Digest)]
	if s == nil {
		return err
	}
	if known := cause.Find(string(s.output)); known != nil {
		return fmt.Errorf("%s%s: %w (%w)", place(err), s.name, known, err)
	}
	return fmt.Errorf("%s%s: %s (%w)", place(err), s.name, cmp.Or(s.last[2], s.last[1]), err)
}

// place is where a failed step comes from, as "file:line: ", or nothing if that is not known.
func place(err error) string {
	for _, source := range errdefs.Sources(err) {
		if len(source.Ranges) > 0 && source.Ranges[0].GetStart().GetLine() > 0 {
			return fmt.Sprintf("%s:%d: ", source.GetInfo().GetFilename(), source.Ranges[0].Start.Line)
		}
	}
	return ""
}

// Step shows a step of our own until the returned function is called.
func (d *Display) Step(name string) func(error) {
	now := time.Now()
	vertex := bk.Vertex{Digest: digest.FromString(name), Name: name, Started: &now}
	d.updates <- &bk.SolveStatus{Vertexes: []*bk.Vertex{&vertex}}
	return func(err error) {
		ended, now := vertex, time.Now()
		ended.Completed = &now
		if err != nil {
			ended.Error = err.Error()
		}
		d.updates <- &bk.SolveStatus{Vertexes: []*bk.Vertex{&ended}}
	}
}

// Cached shows a step that there was no need for.
func (d *Display) Cached(name string) {
	now := time.Now()
	d.updates <- &bk.SolveStatus{Vertexes: []*bk.Vertex{{
		Digest: digest.FromString(name), Name: name, Started: &now, Completed: &now, Cached: true,
	}}}
}
