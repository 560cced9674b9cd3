// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"slices"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

func TestDriverCUDA(t *testing.T) {
	t.Parallel()
	for driver, want := range map[string]string{
		"340.108": "6.5", "375.26": "8.0", "384.81": "9.0", "390.157": "9.1", "418.226.00": "10.1",
		"450.80.02": "11.0", "470.256.02": "11.4", "525.60.13": "12.0", "535.161.07": "12.2",
		"550.54.14": "12.4", "580.159.04": "13.0", "999.1": "13.4", "304.137": "", "": "", "x": "",
	} {
		if got := compat.DriverCUDA(driver); got != want {
			t.Errorf("DriverCUDA(%q) = %q, want %q", driver, got, want)
		}
	}
}

func TestFirstDriver(t *testing.T) {
	t.Parallel()
	for cuda, want := range map[string]string{"12.4": "550.54.14", "12.4.1": "550.54.14", "9.0": "384.81", "12": "525.60.13", "99.0": "", "": "", "x": ""} {
		if got := compat.FirstDriver(cuda); got != want {
			t.Errorf("FirstDriver(%q) = %q, want %q", cuda, got, want)
		}
	}
}

func TestPTXRelease(t *testing.T) {
	t.Parallel()
	for isa, want := range map[string]string{"3.2": "6.5", "6.0": "9.0", "7.8": "11.8", "8.5": "12.5", "8.6": "12.7", "9.0": "13.0", "9.9": ""} {
		if got := compat.PTXRelease(isa); got != want {
			t.Errorf("PTXRelease(%q) = %q, want %q", isa, got, want)
		}
	}
}

// TestTables: the tables agree with each other.
func TestTables(t *testing.T) {
	t.Parallel()
	drivers := compat.Drivers()
	if !slices.IsSortedFunc(drivers, compat.Compare) || len(drivers) < 10 {
		t.Errorf("Drivers() = %v, want at least ten, sorted", drivers)
	}
	if !slices.Contains(drivers, "450.80.02") || !slices.Contains(drivers, "535.54.03") {
		t.Errorf("Drivers() = %v, want the floor 450.80.02 and the first 535", drivers)
	}
	for _, cuda := range []string{"8.0", "9.0", "10.2", "11.0", "11.8", "12.0", "12.4", "12.9", "13.0", "13.3"} {
		if got := compat.DriverCUDA(compat.FirstDriver(cuda)); got != cuda {
			t.Errorf("the first driver of CUDA %s, %s, offers CUDA %s", cuda, compat.FirstDriver(cuda), got)
		}
	}
	if !slices.IsSortedFunc(compat.GPUs(), compat.CompareTargets) {
		t.Errorf("GPUs() = %v, want them sorted", compat.GPUs())
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"sm_90": "sm_90", "sm_90a": "sm_90a", "compute_100f": "sm_100f", "9.0": "sm_90", "12.1": "sm_121", "sm_75": "sm_75"} {
		got, err := compat.ParseTarget(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseTarget(%q) = %v, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "90", "sm_", "sm_9", "sm_90b", "sm_9000", "sm_09", "SM_90", "9", "9.00", "sm_90 ", "gfx900"} {
		if got, err := compat.ParseTarget(in); err == nil {
			t.Errorf("ParseTarget(%q) = %v, want an error", in, got)
		}
	}
}

func target(t *testing.T, s string) compat.Target {
	t.Helper()
	got, err := compat.ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRunsOn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code, gpu string
		sass, ptx bool
	}{
		{"sm_80", "sm_80", true, true},
		{"sm_80", "sm_86", true, true},
		{"sm_86", "sm_89", true, true},
		{"sm_89", "sm_86", false, false},
		{"sm_80", "sm_90", false, true},
		{"sm_90", "sm_80", false, false},
		{"sm_90a", "sm_90", true, true},
		{"sm_90a", "sm_100", false, false},
		{"sm_100a", "sm_103", false, false},
		{"sm_100f", "sm_103", true, true},
		{"sm_103f", "sm_100", false, false},
		{"sm_100f", "sm_120", false, false},
		{"sm_120f", "sm_121", true, true},
		{"sm_100", "sm_120", false, true},
		{"sm_70", "sm_72", false, true}, // Xavier
		{"sm_72", "sm_75", false, true},
		{"sm_72", "sm_72", true, true},
		{"sm_80", "sm_87", false, true}, // Orin
		{"sm_87", "sm_89", false, true},
		{"sm_50", "sm_61", false, true},
	} {
		code, gpu := target(t, tc.code), target(t, tc.gpu)
		if got := code.RunsOn(gpu); got != tc.sass {
			t.Errorf("%s on %s: %v, want %v", tc.code, tc.gpu, got, tc.sass)
		}
		if got := (compat.PTX{Target: code, ISA: "8.0"}).CompilesFor(gpu); got != tc.ptx {
			t.Errorf("PTX of %s for %s: %v, want %v", code.Virtual(), tc.gpu, got, tc.ptx)
		}
	}
}
