// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"reflect"
	"slices"

	"github.com/cudabuild/cudabuild/compat"
)

// Where returns the GPUs and drivers on which Predict says that the image runs, and what it says of
// the oldest of them. If there are none, it is why: unknown if that is said of any GPU and driver.
func (r *Report) Where(hook compat.Hook) ([]compat.Region, compat.Prediction) {
	regions := compat.Where(r.Portability.Needs, hook)
	if len(regions) > 0 {
		p := r.PredictIn(regions[0], hook)
		if p.Verdict.Runs() {
			return regions, p
		}
		return nil, p
	}
	var why compat.Prediction
	for _, p := range r.Portability.Predictions {
		gpu, err := compat.ParseTarget(p.GPU)
		if err != nil {
			continue
		}
		if why = r.Predict(compat.Host{Driver: p.Driver, GPU: gpu, Hook: hook}); why.Verdict == compat.Unknown {
			break
		}
	}
	return nil, why
}

// MayRun returns the GPUs and drivers on which nothing says that the image fails: it runs there, or nobody
// can tell. Of a program that opens libraries by name, as Python does, nobody knows which code in the image
// is meant: then it is where any of it runs by itself, and regions may have hosts in common.
func (r *Report) MayRun(hook compat.Hook) (all []compat.Region) {
	if r.Portability.CannotStart != "" {
		return nil
	}
	for _, needs := range r.Portability.any() {
		for _, region := range compat.Where(needs, hook) {
			if !slices.ContainsFunc(all, func(other compat.Region) bool { return reflect.DeepEqual(region, other) }) {
				all = append(all, region)
			}
		}
	}
	return all
}

// any are the needs of the image where its program is known, else those of each part with code, beside
// what has none.
func (p *Portability) any() []compat.Needs {
	var with, without []compat.Part
	for _, part := range p.Needs.Parts {
		if len(part.SASS)+len(part.PTX) > 0 {
			with = append(with, part)
		} else {
			without = append(without, part)
		}
	}
	if p.Program != "" || len(with) == 0 {
		return []compat.Needs{p.Needs}
	}
	var each []compat.Needs
	for _, part := range with {
		one := p.Needs
		one.Parts = append(slices.Clone(without), part)
		each = append(each, one)
	}
	return each
}

// PredictIn is what Predict says of the first GPU and the oldest driver of a region.
func (r *Report) PredictIn(region compat.Region, hook compat.Hook) compat.Prediction {
	h := compat.Host{Driver: region.From, GPU: region.GPUs[0], Hook: hook}
	if len(region.Brands) > 0 {
		h.Brand = region.Brands[0]
	}
	return r.Predict(h)
}
