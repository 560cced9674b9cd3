// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/usertest"
	"github.com/cudabuild/cudabuild/verify"
)

// The kinds of gates, and their states.
const (
	ByVerify = "verify"
	ByGPU    = "gpu"

	Met     = "met"
	Missing = "missing" // it could not be checked
	Failed  = "failed"
)

// Gate is something that must hold before the tags of a cell move.
type Gate struct {
	Kind  string `json:"kind"`
	Want  string `json:"want"`
	State string `json:"state"`
	Why   string `json:"why"` // what answers it, or what would
	// Cell, Test, Driver and GPU are the row that a gate of kind gpu asks for: of the image of a
	// cell, which may be that of a sample beside the cell with the gate.
	Cell   string `json:"cell,omitempty"`
	Test   string `json:"test,omitempty"`
	Driver string `json:"driver,omitempty"`
	GPU    string `json:"gpu,omitempty"`
	// Image is what that row ran, where there is one: the digest of a manifest, or of an index.
	Image string `json:"image,omitempty"`
}

// gates returns those of a cell.
func (p *Publisher) gates(c matrix.Cell, plan *Plan) []Gate {
	gates := []Gate{p.verdict(c, p.images[p.built[c.ID].Digest])}
	for _, on := range p.Rules.GPU {
		for _, sample := range on.Samples {
			if !p.asked(c, sample) {
				continue
			}
			for _, arch := range on.GPUs {
				gates = append(gates, p.ran(c, plan, on.Driver, arch, sample))
			}
		}
	}
	return gates
}

// asked reports whether a cell has to show a sample or test: a test in the cells that it is of,
// a sample in its own and in the flavors of each OS and CUDA release for which there can be an
// image of it.
func (p *Publisher) asked(c matrix.Cell, sample string) bool {
	if test := p.test(sample); test != nil {
		return test.Of(c.ID)
	}
	if c.Sample != "" && c.Sample != sample {
		return false
	}
	if c.Recipe == nil {
		return true
	}
	_, err := c.Recipe.Release.SampleOn(sample)
	return err == nil
}

// verdict is the gate of the verifier's verdicts on an image of a cell, or on those of an index.
func (p *Publisher) verdict(c matrix.Cell, m *manifest) Gate {
	gate := Gate{Kind: ByVerify, Want: p.Rules.Verify, State: Met}
	built := p.built[c.ID]
	var verdicts []string
	for _, img := range m.images() {
		i := slices.IndexFunc(built.Images, func(r verify.Report) bool { return r.Digest == img.desc.Digest.String() })
		switch {
		case i < 0:
			gate.State, gate.Why = Missing, fmt.Sprintf("no verdict on %s in the record: 'cudabuild matrix' makes it", img.desc.Digest)
			return gate
		case built.Images[i].Verdict == verify.Pass, built.Images[i].Verdict == verify.Warn && p.Rules.Verify == string(verify.Warn):
		default:
			gate.State = Failed
		}
		verdicts = append(verdicts, string(built.Images[i].Verdict))
	}
	gate.Why = strings.Join(slices.Compact(verdicts), ", ")
	return gate
}

// ran is the gate of one sample on one kind of GPU. Of the rows that answer it the newest
// counts.
func (p *Publisher) ran(c matrix.Cell, plan *Plan, driver, arch, sample string) Gate {
	gate := Gate{Kind: ByGPU, Want: fmt.Sprintf("%s on %s with driver %s", sample, arch, driver), State: Missing}
	cells, test := p.answering(c, sample), p.test(sample)
	of := cells[len(cells)-1]
	gate.Cell, gate.Test, gate.Driver, gate.GPU = of.ID, sample, driver, arch
	digest, expect := "", ""
	if test != nil {
		digest, expect = test.Digest(), test.ExpectDigest()
	}
	var newest gpu.Observation
	for _, o := range p.rows {
		image, words := p.imageOf(cells, o.Row)
		counts := image != "" && o.Row.Sample == sample && o.Row.Test == digest && o.Row.Expect == expect && !o.Row.StandIn && !o.Host.StandIn && !o.Row.Dry && o.Row.Result != gpu.Waived && o.Row.Result != "" &&
			compat.DriverIs(driver, o.Host.Driver) && slices.Contains(architectures(o), arch)
		if !counts || !newest.Row.Started.IsZero() && o.Row.Started.Before(newest.Row.Started) {
			continue
		}
		newest, gate.State, gate.Image = o, Met, image
		gate.Why = fmt.Sprintf("%s on %s, driver %s, %s, %s", o.Row.Result, strings.Join(names(o), ", "), o.Host.Driver, o.Row.Started.UTC().Format("2006-01-02"), words)
		if o.Row.Result != gpu.Passed {
			gate.State = Failed
			gate.Why += ": " + strings.Join(strings.Fields(o.Row.Reason), " ") // may end with lines of stderr
		}
	}
	switch {
	case gate.State != Missing:
	case test == nil && of.Sample != sample: // nor will there ever be one
		gate.State = Failed
		gate.Why = fmt.Sprintf("no image of %s for CUDA %s on %s is among the cells: choose %s-%s-%s too", sample, of.CUDA, of.OS, of.CUDA, sample, of.OS)
	case p.PlanOnly:
		gate.Why = fmt.Sprintf("no row: '%s' stages the image, and says how a host with %s and driver %s makes one", p.CommandTo(""), arch, driver)
	default:
		with := ""
		if test != nil {
			with = " --tests " + p.Rules.File
		}
		then := "--resume"
		if p.StageOnly {
			then = "--promote"
		}
		gate.Why = fmt.Sprintf("no row: on a host with %s and driver %s run 'cudabuild gpu%s %s:%s --ledger rows', then here '%s --ledger rows'",
			arch, driver, with, plan.To, p.staging(of.ID), p.CommandTo(then))
	}
	return gate
}

// test is the test of one's own of that name, nil if there is none.
func (p *Publisher) test(name string) *usertest.Test { return p.Rules.Test(name) }

// answering are the cells whose image answers for a cell: a sample's own, and for a flavor
// the samples of its OS and CUDA release, which stand on it or were compiled in it. Tests of one's
// own run in the cell itself.
func (p *Publisher) answering(c matrix.Cell, sample string) []matrix.Cell {
	cells := []matrix.Cell{c}
	if c.Sample == "" {
		for _, other := range p.Cells {
			if other.Sample == sample && other.OS == c.OS && other.CUDA == c.CUDA {
				cells = append(cells, other)
			}
		}
	}
	return cells
}

// imageOf is the digest of the image of the cells that a row is of, and that in words; "" if it is
// of none. Of two images with one configuration the layers are the same, however they are
// compressed: it names what they unpack to.
func (p *Publisher) imageOf(cells []matrix.Cell, row gpu.Row) (digest, words string) {
	for _, c := range cells {
		img := p.images[p.built[c.ID].Digest]
		if img == nil {
			continue
		}
		for _, one := range img.all() {
			digest, words = one.desc.Digest.String(), fmt.Sprintf("image %s of %s", one.desc.Digest, c.ID)
			switch {
			case digest == row.Digest:
				return digest, words
			case row.Config != "" && one.config.Digest.String() == row.Config:
				return digest, "the configuration of " + words
			}
		}
	}
	return "", ""
}

// again is the command that goes on with this run.
func (p *Publisher) again() string { return p.CommandTo("--resume") }

// used are the GPUs of a row. A fleet has many hosts of one kind, and a ledger knows the GPUs of the last of them
// alone: then they are as those.
func used(o gpu.Observation) []gpu.GPU {
	all := slices.DeleteFunc(slices.Clone(o.Host.GPUs), func(g gpu.GPU) bool { return !slices.Contains(o.Row.Devices, g.UUID) })
	if len(all) == 0 && o.Row.Asked != nil && o.Row.Asked.GPUs > 0 {
		return o.Host.GPUs[:min(1, len(o.Host.GPUs))]
	}
	return all
}

// architectures are those of a row's GPUs, "sm_90".
func architectures(o gpu.Observation) (all []string) {
	for _, g := range used(o) {
		all = append(all, "sm_"+strings.ReplaceAll(g.Capability, ".", ""))
	}
	return all
}

func names(o gpu.Observation) (all []string) {
	for _, g := range used(o) {
		all = append(all, g.Name)
	}
	return slices.Compact(all)
}

// failedGates is an error that names the gates of a state, those of several cells once; nil
// if there are none.
func (plan *Plan) failedGates(state string) error {
	cells, gates := map[Gate][]string{}, []Gate{}
	for _, c := range plan.Cells {
		for _, g := range c.Gates {
			if g.State != state {
				continue
			}
			if len(cells[g]) == 0 {
				gates = append(gates, g)
			}
			cells[g] = append(cells[g], c.ID)
		}
	}
	var errs []error
	for _, g := range gates {
		errs = append(errs, fmt.Errorf("%s: %s %s: %s", strings.Join(cells[g], ", "), g.Kind, g.Want, g.Why))
	}
	return errors.Join(errs...)
}

// MissingError is a gate that could not be checked: exit code 3.
type MissingError struct{ error }

// Code is that of something that could not be checked.
func (e *MissingError) Code() int { return 3 }

// gate lets a plan through if all that was asked for holds.
func (p *Publisher) gate(_ context.Context, plan *Plan) (phase Phase, err error) {
	of, met := 0, 0
	for _, c := range plan.Cells {
		for _, g := range c.Gates {
			of++
			if g.State == Met {
				met++
			}
		}
	}
	m := p.Show.Begin(Gating, of, 0)
	defer func() { phase = m.End(err) }()
	m.Add(met, 0)
	if err := failed(plan.failedGates(Failed), ""); err != nil {
		return phase, err
	}
	if missing := plan.failedGates(Missing); missing != nil {
		return phase, &MissingError{missing}
	}
	for _, c := range plan.Cells {
		if err := p.journal.write(Entry{What: gated, Cell: c.ID, Digest: c.Digest}); err != nil {
			return phase, err
		}
	}
	return phase, nil
}
