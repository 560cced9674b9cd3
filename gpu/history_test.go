// SPDX-License-Identifier: Apache-2.0

package gpu_test

import (
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
)

// TestHistories: one series for what Compare compares, and none of what was not seen on a GPU.
func TestHistories(t *testing.T) {
	t.Parallel()
	host := gpu.Host{Driver: "580.65.06", GPUs: []gpu.GPU{{UUID: "GPU-example", Name: "an example"}}}
	start := func(hour int, change func(*gpu.Row)) gpu.Observation {
		r := gpu.Row{
			Cell: "12.4-nbody-debian13", Digest: "sha256:1", Sample: "nbody", Engine: "direct", Devices: []string{"GPU-example"}, Result: gpu.Passed,
			Started: time.Date(2026, 12, 1, hour, 0, 0, 0, time.UTC), Figures: gpu.Figures{GFLOPS: float64(100 + hour), Bodies: 1024},
		}
		change(&r)
		return gpu.Observation{Host: host, Row: r}
	}
	all := []gpu.Observation{
		start(5, func(r *gpu.Row) { r.Digest = "sha256:2" }), // later, of another image: the same series
		start(1, func(*gpu.Row) {}),
		start(2, func(r *gpu.Row) { r.StandIn = true }),
		start(2, func(r *gpu.Row) { r.Dry = true }),
		start(2, func(r *gpu.Row) { r.Result = gpu.Failed }),
		start(3, func(r *gpu.Row) { r.Engine = "nvidia" }),
		start(3, func(r *gpu.Row) { r.Figures.Bodies = 2048 }),
		start(4, func(r *gpu.Row) {
			r.Figures = gpu.Figures{Measured: map[string]gpu.Measured{"step_ms": {Value: 3, Better: gpu.Lower}}}
		}),
	}
	got := gpu.Histories(all)
	if len(got) != 4 {
		t.Fatalf("%d histories, want 4: %+v", len(got), got)
	}
	if first := got[0]; len(first.Starts) != 2 || first.Starts[0].Value != 101 || first.Starts[1].Value != 105 || first.Figure != "gflops" || first.GPU != "an example" || first.GPUs != 1 {
		t.Errorf("the first is %+v, want the starts of 1 and 5 o'clock", first)
	}
	if last := got[3]; last.Figure != "step_ms" || last.Better != gpu.Lower {
		t.Errorf("the last is %+v, want a figure that is better when lower", last)
	}
}
