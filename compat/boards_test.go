// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"slices"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

func TestBoardNamed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]compat.Board{
		"A100": {"A100", compat.Target{SM: 80}, "nvidia"}, "NVIDIA A100-SXM4-80GB": {"A100", compat.Target{SM: 80}, "nvidia"}, "NVIDIA H100 80GB HBM3": {"H100", compat.Target{SM: 90}, "nvidia"},
		"h200": {"H200", compat.Target{SM: 90}, "nvidia"}, "rtx4090": {"RTX 4090", compat.Target{SM: 89}, "geforce"}, "GeForce RTX 4090": {"RTX 4090", compat.Target{SM: 89}, "geforce"},
		"Tesla V100-PCIE-16GB": {"V100", compat.Target{SM: 70}, "tesla"}, "Quadro RTX 6000": {"Quadro RTX 6000", compat.Target{SM: 75}, "quadrortx"},
		"NVIDIA RTX 6000 Ada Generation": {"RTX 6000 Ada", compat.Target{SM: 89}, "nvidiartx"}, "gb200": {"GB200", compat.Target{SM: 100}, "nvidia"}, "NVIDIA A100-SXM4-40GB MIG": {},
		"": {}, "GPU": {}, "NVIDIA": {}, "RTX 6000": {}, "sm_90": {}, "4090": {}, "A1000": {},
	} {
		if got, ok := compat.BoardNamed(name); got != want || ok != (want != compat.Board{}) {
			t.Errorf("BoardNamed(%q) = %+v, %t, want %+v", name, got, ok, want)
		}
	}
}

// TestBoards: every board is found by its own name alone, on an architecture that the
// tables have, with a brand of NVML's.
func TestBoards(t *testing.T) {
	t.Parallel()
	for _, name := range compat.BoardNames() {
		b, ok := compat.BoardNamed(name)
		if !ok || b.Name != name || b.GPU.Name() == "" || !slices.Contains(compat.Brands(), b.Brand) {
			t.Errorf("BoardNamed(%q) = %+v, %t", name, b, ok)
		}
	}
}

// TestBrandDecides: the same GPU with cuda-compat runs or fails by its brand.
func TestBrandDecides(t *testing.T) {
	t.Parallel()
	n := compat.Needs{Parts: []compat.Part{{Name: "app", Runtime: "13.0", SASS: []compat.Target{{SM: 80}, {SM: 86}}}}, Compat: []compat.Compat{{Driver: "580.65.06"}}}
	for name, runs := range map[string]bool{"A40": true, "RTX 3090": false} {
		b, _ := compat.BoardNamed(name)
		if p := compat.Predict(n, compat.Host{Driver: "550.54.14", GPU: b.GPU, Brand: b.Brand}); p.Verdict.Runs() != runs {
			t.Errorf("%s: %s (%s), want runs %t", name, p.Verdict, p.Why, runs)
		}
	}
}
