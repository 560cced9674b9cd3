// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/verify"
)

// BenchmarkNew makes documents of many cells, each with contents, a report read again, and six rows.
func BenchmarkNew(b *testing.B) {
	for _, size := range []struct{ cells, drivers, gpus int }{{600, 40, 8}, {2237, 19, 14}} {
		b.Run(fmt.Sprintf("%d cells, %d drivers, %d GPUs", size.cells, size.drivers, size.gpus), func(b *testing.B) {
			in := many(size.cells, size.drivers, size.gpus)
			for b.Loop() {
				if d := report.New(in); len(d.Images) != size.cells {
					b.Fatalf("%d images, want %d", len(d.Images), size.cells)
				}
			}
		})
	}
}

// many is the example with as many copies of its first image.
func many(cells, drivers, gpus int) report.Input {
	in := reporttest.Run()
	first := in.Run.Cells[4]
	r, holds := first.Images[0], in.Contents[first.Digest]
	host := reporttest.Host("gpu1", "580.65.06", "NVIDIA H200", "9.0")
	in.Run.Cells, in.Ledgers, in.Changes = nil, []report.Ledger{{Name: "example-ledger"}}, nil
	if all := compat.Drivers(); drivers > len(all) || gpus > len(compat.GPUs()) { // more than exist: the answers are made up
		r.Portability.Predictions = nil
		for d := range drivers {
			for g := range gpus {
				p := compat.Prediction{Verdict: compat.Native, Why: "a made-up answer"}
				if d%7 == g {
					p = compat.Prediction{Verdict: compat.No, Why: fmt.Sprintf("a made-up reason %d", g)}
				}
				r.Portability.Predictions = append(r.Portability.Predictions, verify.DriverGPU{Driver: fmt.Sprint(400 + 10*d), GPU: compat.GPUs()[g].String(), Prediction: p})
			}
		}
	}
	for i := range cells {
		id := fmt.Sprintf("12.%d-nbody-debian13", i)
		c := first
		c.ID, c.Digest = id, reporttest.Digest(id+" linux/amd64")
		r.Digest, r.Config = c.Digest, reporttest.Digest("configuration of "+c.Digest)
		c.Images = []verify.Report{r}
		in.Run.Cells = append(in.Run.Cells, c)
		in.Reports[c.Digest], in.Contents[c.Digest] = r, holds
		for n := range 6 {
			o := reporttest.Row(host, "example-gpu1", id, "nbody", "direct", reporttest.Today.Add(-time.Duration(n)*time.Hour))
			o.Row.Figures.GFLOPS = 36000 + float64(n)
			in.Ledgers[0].Rows = append(in.Ledgers[0].Rows, o)
		}
	}
	in.Run = &record.Run{Version: 1, Cells: in.Run.Cells}
	return in
}
