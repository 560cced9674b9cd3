// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package observer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/observer"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/standin"
)

// nbody is an image that runs the stand-in for nbody.
func nbody(t *testing.T) image.Source {
	t.Helper()
	src := sample(t, nil, map[string]imagetest.Entry{"usr/bin/nbody": imagetest.File(standin.Sample(t))})
	file, err := src.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file.Config.Cmd = []string{"nbody"}
	if src.Image, err = mutate.Config(src.Image, file.Config); err != nil {
		t.Fatal(err)
	}
	if src.Digest, err = src.Image.Digest(); err != nil {
		t.Fatal(err)
	}
	return src
}

// mps are stand-ins for the driver's programs.
func mps(t *testing.T) container.MPS {
	t.Helper()
	dir := t.TempDir()
	m := container.MPS{Control: filepath.Join(dir, "nvidia-cuda-mps-control"), Server: filepath.Join(dir, "nvidia-cuda-mps-server"), Threads: 50}
	for _, file := range []string{m.Control, m.Server} {
		if err := os.WriteFile(file, standin.Sample(t), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// TestShare: there is a row for each client, by turns first, and the ledger has all.
func TestShare(t *testing.T) {
	o := newObserver(t, "1")
	rows, err := o.Share(t.Context(), nbody(t), 2, mps(t))
	if err != nil || len(rows) != 4 {
		t.Fatalf("Share = %d rows, %v, want 4", len(rows), err)
	}
	for i, row := range rows {
		want := gpu.Sharing{By: gpu.ByTurns, Clients: 2, Client: i % 2, Threads: 100}
		if i >= 2 {
			want.By, want.Threads = gpu.ByMPS, 50
		}
		if row.Sharing == nil || row.Sharing.Wall <= 0 {
			t.Fatalf("row %d: %+v", i, row.Sharing)
		}
		want.Wall = row.Sharing.Wall
		if *row.Sharing != want || row.Result != gpu.Passed {
			t.Errorf("row %d: %+v, %s (%s), want %+v, passed", i, *row.Sharing, row.Result, row.Reason, want)
		}
	}
	if kept, err := gpu.ReadLedger(o.Ledger); err != nil || len(kept) != 4 {
		t.Errorf("the ledger has %d rows, %v, want 4", len(kept), err)
	}
}

func TestShareOther(t *testing.T) {
	o := newObserver(t, "1")
	if rows, err := o.Share(t.Context(), sample(t, nil, nil), 2, mps(t)); err == nil || len(rows) > 0 {
		t.Errorf("Share(deviceQuery) = %d rows, %v, want an error", len(rows), err)
	}
}

func TestCanShare(t *testing.T) {
	t.Parallel()
	for capability, want := range map[string]string{"7.0": "", "10.0": "", "6.1": "needs 7.0"} {
		if got := observer.CanShare(gpu.GPU{Capability: capability}); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: CanShare = %q, want %q", capability, got, want)
		}
	}
}
