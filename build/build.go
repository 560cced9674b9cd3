// SPDX-License-Identifier: Apache-2.0

// Package build runs the matrix: it is the only owner of the order plan -> solve ->
// gate -> record.
//
// [Run] takes the cells of a plan and returns the record of what became of each.
// A cell is solved as soon as the cells below it are, several at a time, its image
// is exported into the image store, every layer is verified, and only then does
// its tag move to the new image. Cells that nothing has changed for are neither
// solved nor read again, and no daemon is started if that holds for all of them.
//
// Several daemons share the work by families of images. One that is lost on the way leaves
// its families to the others.
//
// A cell of several platforms is solved once for each, every image is verified, and
// its tag names their index: all of them pass, or the cell fails.
//
// A cell that fails does not stop the others, but a cell on top of it is skipped.
// The error of Run means that the run itself could not go on: no BuildKit, a full
// disk, an interrupt. The record is then still returned, with what was done so far.
package build

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/build/cache"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/proxy"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// Gate judges an image before its tag moves to it. [verify.Verifier] is one.
type Gate interface {
	Image(ctx context.Context, ref string, img v1.Image) (verify.Report, error)
}

// Options are the means of a run. All but the last group are required.
type Options struct {
	Bases  *base.Store
	Images *image.Store // where passed images stand under their tags
	Failed string       // folder of the layout that keeps failed images by digest
	Engine engine.Options
	Gate   Gate
	Lister Lister // of the same images, needed where Bases have a Lock

	// Builders are the addresses of running BuildKits that share the work, as [engine.Find] returns
	// them; none means that of Engine, or one of our own.
	Builders []string
	OfMatrix bool // the matrix names them, and not who runs it: they get fewer logins, which is said

	// Matrix is the digest of the file that the cells are from, Version that of cudabuild: what the
	// record says of them, "" if they are not known.
	Matrix, Version string

	Cache       cache.Options // in registries, of what BuildKits have made
	AptConfig   []byte        // the host's apt settings (proxy, CA), for build steps only
	Proxy       proxy.Proxy   // what build steps find in their environment; nothing that was built depends on it
	Compression string        // [matrix.Zstd], the default, or [matrix.Gzip]
	Jobs        int           // solves in flight at each BuildKit; 0 means 8
	FailFast    bool          // cancel the rest when a cell fails
	Display     *Display      // nil shows nothing
	Log         *slog.Logger
}

const defaultJobs = 8

// Run builds and verifies the cells, which must list parents before children. The
// record has one entry for each cell, in that order.
func Run(ctx context.Context, cells []matrix.Cell, o Options) (*record.Run, error) {
	begun := time.Now()
	if o.Display == nil {
		o.Display = NewDisplay(nil)
		defer o.Display.Close()
	}
	r, err := newRun(cells, o)
	if err != nil {
		return nil, err
	}
	err = r.all(ctx)
	result := r.record()
	result.Totals.Seconds = time.Since(begun).Seconds()
	return result, err
}

func newRun(cells []matrix.Cell, o Options) (*run, error) {
	if o.Jobs == 0 {
		o.Jobs = defaultJobs
	}
	if o.Compression == "" {
		o.Compression = matrix.Zstd
	}
	if len(o.Builders) == 0 {
		o.Builders = []string{o.Engine.Address}
	}
	o.Engine.Address = o.Builders[0]
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	memo, err := loadMemo(filepath.Join(o.Images.Dir(), memoFile))
	if err != nil {
		return nil, err
	}
	r := &run{Options: o, compiler: &llb.Compiler{}, solved: solvedBy(o.Proxy), memo: memo, bases: map[string]*root{}, builders: newBuilders(o), places: map[string]int{}}
	if err := r.keepLogins(); err != nil {
		return nil, err
	}
	byID := map[string]*task{}
	for _, cell := range cells {
		t := newTask(cell)
		for _, id := range []string{cell.Parent, cell.Builder} {
			if below := byID[id]; below != nil {
				t.stackOn(below)
			}
		}
		byID[cell.ID] = t
		r.tasks = append(r.tasks, t)
	}
	return r, nil
}
