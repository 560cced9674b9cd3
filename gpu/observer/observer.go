// SPDX-License-Identifier: Apache-2.0

// Package observer takes images through everything that a row needs: the verifier's
// report, the prediction, the image's own requirement, then the sample, or a test of one's own,
// in a container of each engine, and the comparison of the two.
//
// [Observer.Image] runs a test in an image by itself, [Observer.Share] several times at once on one
// GPU, with and without MPS. The prediction is made, and written to the ledger,
// before anything of the image runs. A row that failed is a result; an error means
// that nothing could be seen.
package observer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/host"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/usertest"
	"github.com/cudabuild/cudabuild/verify"
)

// Observer runs tests on a host and says what was seen of them.
type Observer struct {
	host.Host
	Verifier *verify.Verifier
	Engines  []container.Engine
	Repeat   int           // runs of each engine, at least 1
	Limit    time.Duration // of one program
	Ledger   string        // directory, "" for none
	Dry      bool          // no driver is given, and every symbol is resolved at the start
	NVML     time.Duration // what asking the driver took, for the first row
	// Elsewhere makes the containers, nil for those that Host's Runner makes.
	Elsewhere Elsewhere
	// Known says that a row need not be made, in any repetition; nil to make all.
	Known func(gpu.Row) bool
}

// Elsewhere is an engine of somebody else's.
type Elsewhere interface {
	// Observe runs a test with these GPUs and returns what was seen, and what the container had; nil if
	// it did not come to that. An error means that nothing can be said about the image.
	Observe(ctx context.Context, s predict.Subject, gpus []gpu.GPU, limit time.Duration) (container.Outcome, *gpu.Seen, error)
}

// Image runs a test in an image and returns a row for each run, in order. The
// rows that were finished before an error are returned with it.
func (o *Observer) Image(ctx context.Context, src image.Source, test gpu.Test) ([]gpu.Row, error) {
	subject, err := predict.New(src, test)
	if err != nil {
		return nil, err
	}
	with := o.with(test)
	defer func() { o.NVML = with.NVML }()
	return with.repeat(ctx, subject)
}

// with is an observer of the GPUs that the test takes.
func (o *Observer) with(test gpu.Test) *Observer {
	with := *o
	if test.GPUs != usertest.All {
		with.GPUs = o.GPUs[:min(test.GPUs, len(o.GPUs))]
	}
	return &with
}

// on is the host as a prediction takes it.
func (o *Observer) on() predict.Host { return predict.Host{Facts: o.Facts, GPUs: o.GPUs, Dry: o.Dry} }

func (o *Observer) predict(ctx context.Context, subject predict.Subject) (gpu.Prediction, error) {
	report, err := subject.Report(ctx, o.Verifier, o.Dry || len(o.GPUs) == 0)
	if err != nil {
		return gpu.Prediction{}, err
	}
	p := subject.On(o.on(), report)
	p.Made = time.Now()
	return p, nil
}

func (o *Observer) repeat(ctx context.Context, subject predict.Subject) ([]gpu.Row, error) {
	prediction, err := o.predict(ctx, subject)
	if err != nil {
		return nil, err
	}
	var rows []gpu.Row
	for _, engine := range o.Engines {
		if o.Known != nil && o.Known(subject.Row(string(engine), o.on())) {
			continue
		}
		for range max(1, o.Repeat) {
			row := subject.Row(string(engine), o.on())
			row.Prediction = prediction
			err := o.observe(ctx, subject, &row)
			if err != nil {
				return rows, fmt.Errorf("%s: engine %s: %w", subject.Ref, engine, err)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// observe runs the test once. The ledger has the prediction before the program is
// started, and the whole row afterwards.
func (o *Observer) observe(ctx context.Context, subject predict.Subject, row *gpu.Row) error {
	row.Prediction.Made = row.Prediction.Made.UTC()
	row.Started = time.Now().UTC()
	if err := o.keep(*row); err != nil {
		return err
	}
	if row.Prediction.Result == gpu.Refused {
		row.Result, row.Reason = gpu.Refused, row.Prediction.Why
	} else if err := o.run(ctx, subject, row); err != nil {
		return err
	}
	row.Judge()
	return o.keep(*row)
}

func (o *Observer) keep(row gpu.Row) error {
	if o.Ledger == "" {
		return nil
	}
	return gpu.Append(o.Ledger, o.Facts, row)
}

// run fills the row with what was seen.
func (o *Observer) run(ctx context.Context, subject predict.Subject, row *gpu.Row) error {
	if o.Elsewhere != nil {
		out, had, err := o.Elsewhere.Observe(ctx, subject, o.GPUs, o.limit(subject.Test))
		if err != nil {
			return err
		}
		row.Seen = had
		o.fill(row, subject.Test, out)
		return nil
	}
	program, spec, err := o.ready(ctx, subject, row)
	if err != nil {
		return err
	}
	out, err := o.Runner.Run(ctx, program)
	if err != nil {
		return err
	}
	row.Seconds.Spec = (spec + out.Times.Config).Seconds()
	o.fill(row, subject.Test, out)
	return o.judgeDiff(ctx, row, out)
}

// ready returns what the row's container runs, and how long its CDI specification took.
// What is paid once goes into the row.
func (o *Observer) ready(ctx context.Context, subject predict.Subject, row *gpu.Row) (p container.Program, spec time.Duration, err error) {
	p, spent, err := o.Program(ctx, subject.Image, container.Engine(row.Engine))
	if err != nil {
		return p, 0, err
	}
	row.Seconds.Unpack, row.Seconds.NVML = spent.Unpack.Seconds(), o.NVML.Seconds()
	o.NVML = 0
	p.Args, p.Env, p.Limit = subject.Args, slices.Clone(subject.Env), o.limit(subject.Test)
	if !slices.ContainsFunc(p.Env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		p.Env = append(p.Env, container.DefaultPath)
	}
	if o.Dry {
		p.Env = append(p.Env, "LD_BIND_NOW=1")
	}
	if subject.Test.Own() {
		p.Open = &container.Open{Dir: subject.Dir, User: subject.User, Powerless: true}
	}
	return p, spent.Spec, nil
}

func (o *Observer) limit(test gpu.Test) time.Duration { return cmp.Or(test.Limit, o.Limit) }
