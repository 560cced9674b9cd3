// SPDX-License-Identifier: Apache-2.0

package observer

import (
	"context"
	"fmt"
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
	row.Read(test, gpu.Ended{ExitCode: out.ExitCode, Stdout: out.Stdout, Stderr: out.Stderr}, o.Facts.CUDA)
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
