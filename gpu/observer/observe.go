// SPDX-License-Identifier: Apache-2.0

package observer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
)

// fill puts what was seen into the row.
func (o *Observer) fill(row *gpu.Row, test gpu.Test, out container.Outcome) {
	row.ExitCode, row.DeviceNodes, row.Left.Files = out.ExitCode, out.DeviceNodes, append(row.Left.Files, out.Diff...)
	row.LoadedLibcuda, row.PTXJIT = out.Libcuda, out.JIT
	t := out.Times
	row.Seconds.Create, row.Seconds.Hooks, row.Seconds.Start = t.Create.Seconds(), t.Hooks.Seconds(), t.Start.Seconds()
	row.Seconds.ToMain, row.Seconds.Run = t.ToMain.Seconds(), t.Run.Seconds()
	row.Result, row.Reason = gpu.Failed, ""
	switch {
	case out.Problem != "":
		row.Reason = out.Problem
		return
	case out.TimedOut:
		row.Reason = fmt.Sprintf("no end within %s", o.limit(test))
		if test.Own() {
			row.Reason = strings.TrimSuffix(row.Reason+": "+gpu.Tail(out.Stderr), ": ")
		}
		return
	}
	said := test.Read(gpu.Ended{ExitCode: out.ExitCode, Stdout: out.Stdout, Stderr: out.Stderr})
	row.Result, row.CUDAError, row.Reason, row.Figures, row.Loaded = said.Result, said.CUDAError, said.Message, said.Figures, said.Loaded
	if said.Libcuda != "" {
		row.LoadedLibcuda = said.Libcuda
	}
	if said.Result == gpu.Passed {
		if row.Reason = o.doubt(row, test); row.Reason != "" {
			row.Result = gpu.Failed
		}
	}
}

// doubt says why a pass is not believed, "" if it is.
func (o *Observer) doubt(row *gpu.Row, test gpu.Test) string {
	f := row.Figures
	switch {
	case row.LoadedLibcuda == "" && test.GPUs != 0:
		return "no libcuda was mapped: it did not use the GPU"
	case f.Names == nil: // only a sample that asks has them
		return ""
	case f.DriverCUDA != o.Facts.CUDA && !strings.Contains(row.LoadedLibcuda, "/compat/"):
		return fmt.Sprintf("in the container the driver is for CUDA %s, on the host for %s: another libcuda than the host's was used (%s)", f.DriverCUDA, o.Facts.CUDA, row.LoadedLibcuda)
	case len(f.Names) != len(row.Devices):
		return fmt.Sprintf("the container sees %d GPUs, it was given %d", len(f.Names), len(row.Devices))
	}
	for _, uuid := range f.GPUs {
		if !slices.Contains(row.Devices, uuid) {
			return fmt.Sprintf("the container sees GPU %s, which it was not given", uuid)
		}
	}
	return ""
}

// judgeDiff asks the verifier about an image with what the run left as its layer:
// what a build on a GPU host would ship.
func (o *Observer) judgeDiff(ctx context.Context, row *gpu.Row, out container.Outcome) error {
	if len(out.Diff) == 0 {
		return nil
	}
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(out.DiffTar, types.OCIUncompressedLayer))
	if err != nil {
		return err
	}
	report, err := o.Verifier.Image(ctx, "what the run left", img)
	if err != nil {
		return err
	}
	row.Left.Verdict = string(report.Verdict)
	return nil
}
