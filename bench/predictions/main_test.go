// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/golden"
)

// TestPage holds that the page in docs is that of the ledger.
func TestPage(t *testing.T) {
	rows, err := gpu.ReadLedger("../../ledger")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "predictions.md", page(casesOf(rows), "../../ledger"))
}

func TestCases(t *testing.T) {
	yes, no := true, false
	host := gpu.Host{GPUs: []gpu.GPU{{Index: 0, UUID: "GPU-0", Name: "H"}, {Index: 1, UUID: "GPU-1", Name: "H"}}}
	row := func(started int64, digest string, agrees *bool, code int, devices ...int) gpu.Observation {
		p := gpu.Prediction{Verdict: "no", Result: gpu.Failed, CUDAErrorCode: code}
		return gpu.Observation{Host: host, File: "f", Row: gpu.Row{Digest: digest, Devices: []string{"GPU"}, Indexes: devices, Prediction: p, Agrees: agrees, Started: time.Unix(started, 0)}}
	}
	standIn := row(1, "sha256:a", &no, 0, 0)
	standIn.Row.StandIn = true
	dry := row(3, "sha256:a", &no, 0, 0)
	dry.Row.Dry = true
	own := row(1, "sha256:a", &yes, 222, 1)
	own.Row.Test, own.Row.Sample = "sha256:t", "train"
	cases := casesOf([]gpu.Observation{
		dry, own,
		row(2, "sha256:a", &yes, 209, 0), row(1, "sha256:a", &yes, 0, 0), standIn,
		row(1, "sha256:a", &yes, 0, 0, 1), row(1, "sha256:b", &yes, 222, 1), row(2, "sha256:b", &no, 222, 1),
		row(1, "sha256:c", &no, 98, 1), row(2, "sha256:c", &yes, 209, 1),
	})
	var got []string
	for _, c := range cases {
		got = append(got, strings.TrimSpace(c.cell+" "+c.digest)+" "+c.gpus+" "+c.class()+" "+c.verdict())
	}
	want := "a H, 0 of 2 no, error 209 yes; c H, 1 of 2 no, error 209 yes; 1 older rows did not; b H, 1 of 2 no, error 222 **no**; train a H, 1 of 2 no, error 222 yes; a H, 0+1 of 2 no, error not predicted yes"
	old := row(1, "sha256:c", &yes, 0)
	if got := gpusOf(old); got != "H, 0+1 of 2" {
		t.Errorf("a row without indexes is of %q", got)
	}
	if strings.Join(got, "; ") != want {
		t.Errorf("cases\n%s\nwant\n%s", strings.Join(got, "; "), want)
	}
}
