// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"slices"
	"strings"
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
		"NVIDIA GeForce GTX TITAN X": {"GTX Titan X", compat.Target{SM: 52}, "geforce"}, "NVIDIA TITAN X (Pascal)": {"Titan X", compat.Target{SM: 61}, "titan"}, "NVIDIA B300 SXM6 AC": {"B300", compat.Target{SM: 103}, "nvidia"},
		"NVIDIA H20-3e": {"H20-3e", compat.Target{SM: 90}, "nvidia"}, "NVIDIA A100X": {"A100X", compat.Target{SM: 80}, "nvidia"}, "NVIDIA GH200 144G HBM3e": {"GH200", compat.Target{SM: 90}, "nvidia"},
		"RTX PRO 6000": {"RTX PRO 6000 Blackwell", compat.Target{SM: 120}, "nvidiartx"}, "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition": {"RTX PRO 6000 Blackwell", compat.Target{SM: 120}, "nvidiartx"},
		"NVIDIA T1000 8GB": {"T1000", compat.Target{SM: 75}, "quadro"}, "Quadro T1000": {"T1000", compat.Target{SM: 75}, "quadro"}, "NVIDIA RTX 4000 SFF Ada Generation": {"RTX 4000 SFF Ada", compat.Target{SM: 89}, "nvidiartx"},
		"Orin (nvgpu)": {"Orin", compat.Target{SM: 87}, ""}, "Jetson AGX Orin": {"Jetson AGX Orin", compat.Target{SM: 87}, ""}, "NVIDIA Thor": {"Thor", compat.Target{SM: 110}, ""},
		"NVIDIA GeForce MX450": {"MX450", compat.Target{SM: 75}, "geforce"}, "NVIDIA GeForce RTX 2080 with Max-Q Design": {"RTX 2080", compat.Target{SM: 75}, "geforce"}, "GTX 960M": {"GTX 960M", compat.Target{SM: 50}, "geforce"},
		"NVIDIA A10-24Q": {"A10", compat.Target{SM: 86}, "vws"}, "GRID A100D-1-10C": {"A100", compat.Target{SM: 80}, "vcs"}, "NVIDIA L40S-48C": {"L40S", compat.Target{SM: 89}, "vcs"},
		"NVIDIA A100-SXM4-40GB MIG 1g.5gb": {"A100", compat.Target{SM: 80}, "nvidia"}, "A6000": {"RTX A6000", compat.Target{SM: 86}, "nvidiartx"}, "P5000": {"Quadro P5000", compat.Target{SM: 61}, "quadro"},
		"1g.10gb": {}, "Blackwell": {}, "RTX 4000": {},
		"": {}, "GPU": {}, "NVIDIA": {}, "RTX 6000": {}, "sm_90": {}, "4090": {}, "A1000": {},
	} {
		if got, ok := compat.BoardNamed(name); got != want || ok != (want != compat.Board{}) {
			t.Errorf("BoardNamed(%q) = %+v, %t, want %+v", name, got, ok, want)
		}
	}
}

// TestBoards: every board is found by its own name alone, on an architecture that the
// tables have, with a brand of NVML's or, of Tegra parts, none.
func TestBoards(t *testing.T) {
	t.Parallel()
	for _, name := range compat.BoardNames() {
		b, ok := compat.BoardNamed(name)
		if !ok || b.Name != name || b.GPU.Name() == "" || !slices.Contains(append(compat.Brands(), ""), b.Brand) {
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

func TestBoardsLike(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"RTX 6000": {"Quadro RTX 6000", "RTX A6000", "RTX 6000 Ada", "RTX PRO 6000 Blackwell"}, "rtx5000": {"Quadro RTX 5000", "RTX A5000", "RTX 5000 Ada", "RTX PRO 5000 Blackwell"}, "": nil, "RTX 9999": nil,
	} {
		if got := compat.BoardsLike(name); !slices.Equal(got, want) {
			t.Errorf("BoardsLike(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestNewestDrivers: of a driver newer than the tables it is not said which release it offers.
func TestNewestDrivers(t *testing.T) {
	t.Parallel()
	n := compat.Needs{Parts: []compat.Part{{Name: "app", Runtime: "12.4", SASS: []compat.Target{{SM: 80}}}}}
	for driver, want := range map[string]string{
		"650.1": "driver 650.1 offers at least CUDA 13.4, the newest known here, app needs 12.4", "99999.1": "at least CUDA 13.4", "615.10": "driver 615.10 offers CUDA 13.4, app", "570.26": "driver 570.26 offers CUDA 12.8, app",
	} {
		if p := compat.Predict(n, compat.Host{Driver: driver, GPU: compat.Target{SM: 80}}); !p.Verdict.Runs() || !strings.Contains(p.Why, want) {
			t.Errorf("%s: %s (%s), want that it runs: %s", driver, p.Verdict, p.Why, want)
		}
	}
}
