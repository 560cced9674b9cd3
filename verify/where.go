// SPDX-License-Identifier: Apache-2.0

package verify

import "github.com/cudabuild/cudabuild/compat"

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

// PredictIn is what Predict says of the first GPU and the oldest driver of a region.
func (r *Report) PredictIn(region compat.Region, hook compat.Hook) compat.Prediction {
	h := compat.Host{Driver: region.From, GPU: region.GPUs[0], Hook: hook}
	if len(region.Brands) > 0 {
		h.Brand = region.Brands[0]
	}
	return r.Predict(h)
}
