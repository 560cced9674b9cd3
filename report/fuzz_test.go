// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"encoding/json"
	"io"
	"testing"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/report/summary"
	"github.com/cudabuild/cudabuild/verify"
)

// FuzzNew: of no record that can be read does an image look good that has not passed, and everything can be printed.
func FuzzNew(f *testing.F) {
	in := fine()
	for i := range in.Run.Cells {
		for j := range in.Run.Cells[i].Images {
			p := &in.Run.Cells[i].Images[j].Portability
			p.Predictions = p.Predictions[100:120]
		}
	}
	o := in.Ledgers[0].Rows[0]
	in.Run.Cells[1].Rows = []record.Row{{Row: o.Row, Host: o.Host}}
	seed, err := json.Marshal(in.Run)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"version":1,"cells":[{"id":"-","status":"passed","digest":"x","tags":["a:"],"images":[{"digest":"x","verdict":"pass"}],"rows":[{"digest":"x","result":"pass","host":{"driver":"1"}}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var run record.Run
		if json.Unmarshal(data, &run) != nil {
			return
		}
		d := report.New(report.Input{Run: &run})
		for i, c := range run.Cells {
			passed := c.Status == record.Passed && c.Digest != "" && len(c.Images) > 0 && len(c.Tags) > 0
			for _, r := range c.Images {
				passed = passed && r.Verdict == verify.Pass && r.Error == "" && r.Digest != ""
			}
			if d.Images[i].State == report.Good && !passed {
				t.Errorf("%+v looks good", c)
			}
			for _, row := range d.Images[i].Rows {
				if row.Discount == "" && (row.Digest == "" || row.Driver == "" || gpu.Result(row.Result) == "") {
					t.Errorf("%+v counts", row)
				}
			}
		}
		if err := summary.Markdown(io.Discard, d); err != nil {
			t.Error(err)
		}
		if err := summary.Badge(io.Discard, d); err != nil {
			t.Error(err)
		}
	})
}
