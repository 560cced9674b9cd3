// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"fmt"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	cases := []struct {
		a, b string
		want int
	}{
		{"12.4", "12.4", 0},
		{"12.4", "12.10", -1}, // numbers, not text
		{"9.0", "10.0", -1},
		{"12", "12.0", 0},
		{"12", "12.0.0.0", 0},
		{"12.0.1", "12", 1},
		{"550.54.14", "550.54.15", -1},
		{"470.256.02", "525.60.13", -1},
		{"450.80.02", "450.80.2", 0}, // as NVIDIA writes it and as others do
		{"", "0", -1},                // what is no version is below every version
		{"x.1", "0", -1},
		{"12.-4", "0.1", -1}, // signed parts make no version
		{"+12", "0", -1},
		{"1.", "x", 0},
	}
	for _, test := range cases {
		t.Run(test.a+" "+test.b, func(t *testing.T) {
			t.Parallel()
			if got := compat.Compare(test.a, test.b); got != test.want {
				t.Errorf("Compare(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
			}
		})
	}
}

func TestIsVersion(t *testing.T) {
	t.Parallel()
	cases := map[string]bool{
		"12": true, "12.4": true, "550.54.14": true, "0": true, "1.2.3.4.5": true, "999999.0": true,
		"": false, ".": false, "12.": false, ".4": false, "12..4": false, "v12": false, "12.4 ": false,
		"12.4\n": false, "-1": false, "+1": false, "12,4": false, "1e3": false, "1.2.3.4.5.6": false, "1234567": false,
	}
	for s, want := range cases {
		if got := compat.IsVersion(s); got != want {
			t.Errorf("IsVersion(%q) = %v, want %v", s, got, want)
		}
	}
}

func TestMajor(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{"12.4": 12, "9.0": 9, "13": 13, "": 0, "x": 0, "-12.4": 0, "12.x": 0} {
		if got := compat.Major(version); got != want {
			t.Errorf("Major(%q) = %d, want %d", version, got, want)
		}
	}
}

// TestRequireCUDA: the floors are those of images without cuda-compat.
func TestRequireCUDA(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"6.5":  "cuda>=6.5",
		"9.0":  "cuda>=9.0",
		"10.2": "cuda>=10.2",
		"11.0": "driver>=450.80.02",
		"11.2": "driver>=450.80.02",
		"11.8": "driver>=450.80.02",
		"12.4": "driver>=525.60.13",
		"13.0": "driver>=580.65.06",
		"14.0": "cuda>=14.0", // nothing is promised yet
	}
	for cuda, want := range cases {
		if got := compat.RequireCUDA(cuda); got != want {
			t.Errorf("RequireCUDA(%q) = %q, want %q", cuda, got, want)
		}
	}
}

func TestMinorFloor(t *testing.T) {
	t.Parallel()
	for _, cuda := range []string{"10.2", "8.0", "14.0", ""} {
		if driver, ok := compat.MinorFloor(cuda); ok || driver != "" {
			t.Errorf("MinorFloor(%q) = %q, %v, want none", cuda, driver, ok)
		}
	}
	for _, cuda := range []string{"11.2", "12.0", "13.1"} {
		if driver, ok := compat.MinorFloor(cuda); !ok || !compat.IsVersion(driver) {
			t.Errorf("MinorFloor(%q) = %q, %v, want a driver version", cuda, driver, ok)
		}
	}
	for older := 11; older < 13; older++ {
		a, _ := compat.MinorFloor(fmt.Sprint(older))
		b, _ := compat.MinorFloor(fmt.Sprint(older + 1))
		if compat.Compare(a, b) >= 0 {
			t.Errorf("CUDA %d needs driver %s, newer CUDA %d only %s", older, a, older+1, b)
		}
	}
}

// FuzzCompare holds that Compare is an order: total, antisymmetric, transitive, and
// blind to trailing zeroes.
func FuzzCompare(f *testing.F) {
	f.Add("12.4", "12.10", "12.4.1")
	f.Add("550.54.14", "550", "")
	f.Add("1.-1", "x", "99999999999999999999")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, ba, bc, ac := compat.Compare(a, b), compat.Compare(b, a), compat.Compare(b, c), compat.Compare(a, c)
		if ab < -1 || ab > 1 {
			t.Fatalf("Compare(%q, %q) = %d", a, b, ab)
		}
		if ab != -ba {
			t.Fatalf("Compare(%q, %q) = %d, the other way round %d", a, b, ab, ba)
		}
		if ab == bc && ac != ab || ab == 0 && ac != bc || bc == 0 && ac != ab {
			t.Fatalf("not an order: %q %+d %q %+d %q, but %+d", a, ab, b, bc, c, ac)
		}
		if compat.Compare(a, a) != 0 {
			t.Fatalf("Compare(%q, itself) = %d", a, compat.Compare(a, a))
		}
		if compat.IsVersion(a) && compat.IsVersion(a+".0") && compat.Compare(a, a+".0") != 0 {
			t.Fatalf("%q is not %q", a, a+".0")
		}
		if compat.IsVersion(a) != (compat.Compare(a, "0") >= 0) {
			t.Fatalf("Compare(%q, 0) = %d, IsVersion %v", a, compat.Compare(a, "0"), compat.IsVersion(a))
		}
	})
}

func TestDriverIs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want, driver string
		is           bool
	}{
		{"535", "535.161.07", true},
		{"535", "5351.1", false},
		{"535.161", "535.161.07", true},
		{">=535", "535.54.03", true},
		{">=535.104", "535.54.03", false},
		{">=535 <580", "570.86.15", true},
		{">=535 <580", "580.65.06", false},
		{"<580", "", false},
	} {
		if got := compat.DriverIs(tc.want, tc.driver); got != tc.is {
			t.Errorf("DriverIs(%q, %q) = %v, want %v", tc.want, tc.driver, got, tc.is)
		}
	}
}

func TestAnyDriverIs(t *testing.T) {
	t.Parallel()
	for want, is := range map[string]bool{
		"": true, "<580": true, ">=535 <580": true, ">=580 <535": false, ">=580 <580": false, "535 >=535.104": true, "535.161 535": true,
		"535 >=580": false, "535 570": false, "575 <550": false, "535 <535.104 >=535.54": true,
	} {
		if got := compat.AnyDriverIs(want); got != is {
			t.Errorf("AnyDriverIs(%q) = %v, want %v", want, got, is)
		}
	}
}
