// SPDX-License-Identifier: Apache-2.0

package observer

import (
	"context"
	"fmt"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/image"
)

// What each client computes: as many bodies whatever share of the GPU it has, and long
// enough that the clients' starts do not count. 135,168 is what nbody takes by itself
// on an H100.
var clientArgs = []string{"-benchmark", "-numbodies=135168", "-i=200"}

// CanShare says why clients of MPS in containers cannot share a GPU, "" if they can.
// Before Volta all clients of a server had one address space.
func CanShare(g gpu.GPU) string {
	if compat.Compare(g.Capability, "7.0") < 0 {
		return fmt.Sprintf("GPU %d (%s) has compute capability %s: MPS for containers needs 7.0 (Volta) or later", g.Index, g.Name, g.Capability)
	}
	return ""
}

// CheckClient says why an image cannot be a client, nil if it can.
func CheckClient(src image.Source) error {
	_, err := newClient(src)
	return err
}

func newClient(src image.Source) (predict.Subject, error) {
	test, err := predict.Sample(src)
	if err != nil {
		return predict.Subject{}, err
	}
	if test.Name != gpu.NBody {
		return predict.Subject{}, fmt.Errorf("%s: clients of MPS must be %s, the image runs %s", src.Ref, gpu.NBody, test.Name)
	}
	test.More = append(test.More, clientArgs...)
	return predict.New(src, test)
}

// Share runs the image n times at once on one GPU, by turns and then through MPS, and
// returns a row for each client, in that order for each engine. The image must be
// nbody's.
func (o *Observer) Share(ctx context.Context, src image.Source, n int, mps container.MPS) ([]gpu.Row, error) {
	subject, err := newClient(src)
	if err != nil {
		return nil, err
	}
	prediction, err := o.predict(ctx, subject)
	if err != nil {
		return nil, err
	}
	var rows []gpu.Row
	for _, engine := range o.Engines {
		for _, how := range []*container.MPS{nil, &mps} {
			clients, err := o.clients(ctx, subject, engine, prediction, n, how)
			rows = append(rows, clients...)
			if err != nil {
				return rows, fmt.Errorf("%s: engine %s: %w", src.Ref, engine, err)
			}
		}
	}
	return rows, nil
}

// clients runs the clients once and returns their rows, none if nothing could be seen.
func (o *Observer) clients(ctx context.Context, subject predict.Subject, engine container.Engine, p gpu.Prediction, n int, mps *container.MPS) ([]gpu.Row, error) {
	p.Made = p.Made.UTC()
	rows := make([]gpu.Row, n)
	for i := range rows {
		row := subject.Row(string(engine), o.on())
		row.Prediction = p
		// The ledger tells rows apart by their start.
		row.Started = time.Now().UTC().Truncate(time.Microsecond).Add(time.Duration(i))
		row.Sharing = &gpu.Sharing{By: gpu.ByTurns, Clients: n, Client: i, Threads: 100}
		if mps != nil {
			row.Sharing.By, row.Sharing.Threads = gpu.ByMPS, mps.Threads
		}
		if err := o.keep(row); err != nil {
			return nil, err
		}
		rows[i] = row
	}
	if p.Result == gpu.Refused {
		for i := range rows {
			rows[i].Result, rows[i].Reason = gpu.Refused, p.Why
		}
	} else if err := o.runClients(ctx, subject, rows, mps); err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].Judge()
		if err := o.keep(rows[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// runClients fills the rows with what was seen.
func (o *Observer) runClients(ctx context.Context, subject predict.Subject, rows []gpu.Row, mps *container.MPS) error {
	program, spec, err := o.ready(ctx, subject, &rows[0])
	if err != nil {
		return err
	}
	together, err := o.Runner.Together(ctx, program, len(rows), mps)
	if err != nil {
		return err
	}
	for i, out := range together.Outcomes {
		row := &rows[i]
		row.Seconds.Spec = (spec + out.Times.Config).Seconds()
		row.Sharing.Wall = together.Wall.Seconds()
		o.fill(row, subject.Test, out)
		if mps != nil && row.Result == gpu.Passed && together.Served < len(rows) {
			row.Result = gpu.Failed
			row.Reason = fmt.Sprintf("the MPS control daemon saw %d of %d clients: %s", together.Served, len(rows), together.Log)
		}
		if err := o.judgeDiff(ctx, row, out); err != nil {
			return err
		}
	}
	return nil
}
