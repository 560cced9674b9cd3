// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
)

// in reports whether a host is in one of the regions, and fails if it is in two.
func in(t *testing.T, regions []compat.Region, h compat.Host) bool {
	t.Helper()
	n := 0
	for _, r := range regions {
		brand := r.Brands == nil || slices.Contains(r.Brands, h.Brand)
		if brand && slices.Contains(r.GPUs, h.GPU) && compat.Compare(r.From, h.Driver) <= 0 && (r.Below == "" || compat.Compare(h.Driver, r.Below) < 0) {
			n++
		}
	}
	if n > 1 {
		t.Errorf("driver %s, %s, brand %q is in %d regions, want them apart", h.Driver, h.GPU, h.Brand, n)
	}
	return n > 0
}

// around are drivers beside one: as near as a driver can be, in the next branches, and itself.
func around(driver string) []string {
	var v [3]int
	fmt.Sscanf(driver, "%d.%d.%d", &v[0], &v[1], &v[2]) // what is missing is zero
	a, b, c := v[0], v[1], v[2]
	return []string{
		driver,
		fmt.Sprintf("%d.%d.%02d", a, b, max(c-1, 0)), fmt.Sprintf("%d.%d.%02d", a, b, c+1), fmt.Sprintf("%d.%d", a, b),
		fmt.Sprintf("%d.%d.%02d", a, max(b-1, 0), c), fmt.Sprintf("%d.%d.%02d", a, b+1, c),
		fmt.Sprintf("%d.999", a-1), fmt.Sprintf("%d.00", a), fmt.Sprintf("%d.0.01", a+1), fmt.Sprintf("%d.1", a+1),
	}
}

// wanted are needs of every kind, by name.
func wanted(t *testing.T) map[string]compat.Needs {
	t.Helper()
	const all124 = "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_89 sm_90 ptx8.4:compute_90"
	cuda := func(require string, parts ...compat.Part) compat.Needs {
		n := compat.Needs{Parts: parts}
		if require != "" {
			r, _ := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", require) // some are malformed
			n.Require = []compat.Requirement{r}
		}
		return n
	}
	app := part(t, "app", "12.4", all124)
	compatible := cuda(nvidia124, app)
	compatible.Compat = []compat.Compat{{Driver: "550.54.14"}}
	note := cuda("", app)
	note.Compat = []compat.Compat{{Driver: "550.54.14", Note: true, Branches: []int{418, 545}}}
	silent := cuda("", part(t, "app", "12.2", all124))
	silent.Compat = []compat.Compat{{Driver: "545.23.06"}}
	found := compatible
	found.Searches = []compat.Search{{Places: []compat.Place{{Kind: compat.PlaceHook, Own: compat.Libcuda{Driver: "560.35.03", Forward: true, Branches: []int{535}}}, {Kind: compat.PlaceHost}}}}
	leaked := cuda("", app)
	leaked.Searches = []compat.Search{{Places: []compat.Place{{Kind: compat.PlaceOwn, Path: "usr/lib/libcuda.so.1", Own: compat.Libcuda{Driver: "550.54.14"}}}}}
	ranked := cuda("", app)
	ranked.Searches = []compat.Search{{Places: []compat.Place{{Kind: compat.PlaceHost, Path: "usr/lib/libcuda.so.1", Rank: "545.23.06", Own: compat.Libcuda{Broken: true}}}}}
	stub := cuda("", app)
	stub.Searches = []compat.Search{{Places: []compat.Place{{Kind: compat.PlaceOwn, Path: "usr/lib/libcuda.so.1", Own: compat.Libcuda{Stub: true}}}}}
	return map[string]compat.Needs{
		"nothing":                         {},
		"11.2 on debian11":                cuda("driver>=450.80.02", part(t, "nbody", "11.2", "sm_52 sm_60 sm_70 sm_80 sm_86 ptx7.2:compute_86")),
		"11.8 on debian12":                cuda("driver>=450.80.02", part(t, "nbody", "11.8", "sm_52 sm_60 sm_70 sm_80 sm_86 sm_89 sm_90 ptx7.8:compute_90")),
		"12.4 on debian13":                cuda("driver>=525.60.13", app),
		"12.4 without requirement":        cuda("", app),
		"9.0":                             cuda("cuda>=9.0", part(t, "app", "9.0", "sm_35 sm_60 sm_70 ptx6.0:compute_70")),
		"PTX alone":                       cuda("", part(t, "app", "12.4", "ptx8.4:compute_80")),
		"sm_90a":                          cuda("", part(t, "app", "12.4", "sm_90a")),
		"sm_100f":                         cuda("", part(t, "app", "12.9", "sm_100f ptx8.8:compute_100f")),
		"PTX after the tables":            cuda("", part(t, "app", "12.4", "sm_80 ptx11.0:compute_80")),
		"cuda-compat":                     compatible,
		"cuda-compat with a note":         note,
		"cuda-compat that is found":       found,
		"cuda-compat without requirement": silent,
		"9.0 without requirement":         cuda("", part(t, "app", "9.0", "sm_35 sm_60 sm_70")),
		"PTX newer than the runtime":      cuda("", part(t, "app", "12.0", "ptx8.2:compute_80")),
		"leaked":                          leaked,
		"in the host's folder":            ranked,
		"stub":                            stub,
		"one driver":                      cuda("driver=470.57.02"),
		"all but one":                     cuda("driver!=535.161.07", app),
		"until one":                       cuda("driver<=550.54.14,driver>535.54.03"),
		"four numbers":                    cuda("driver>=525.60.13.01,driver<580.65.06.2"),
		"odd numbers":                     cuda("driver>=535..161 driver<=470.1234567 driver>=1000000 driver=525.99999999999999999999"),
		"arch and brand":                  cuda("arch>=8.0,brand=tesla arch<8.0,brand!=geforcertx cuda<11.5,brand!=NVIDIA"),
		"cuda":                            cuda("cuda>=12.4 cuda=11.4,driver>=470.82.01"),
		"malformed later":                 cuda("brand=tesla,driver<500 cuda>=12 os=linux"),
	}
}

// TestWhere compares the regions with what is predicted, on drivers around every place where that could
// change. A prediction explains itself, which is slow, so each image sees some thousand of the hosts.
func TestWhere(t *testing.T) {
	t.Parallel()
	drivers := []string{"304.137", "999.1", "latest", ""}
	for _, major := range compat.Branches() {
		drivers = append(drivers, around(strconv.Itoa(major))...)
	}
	for _, d := range append(compat.Drivers(), "450.80.02", "535.161.07", "470.57.02", "470.82.01", "525.60.14", "560.35.03", "545.23.06", "580.65.07", "580.159.04", "565.77") {
		drivers = append(drivers, around(d)...)
	}
	gpus := append(compat.GPUs(), target(t, "sm_20"), target(t, "sm_37"), target(t, "sm_50"), target(t, "sm_87"), target(t, "sm_110"), target(t, "sm_150"), compat.Target{})
	for name, n := range wanted(t) {
		for _, hook := range []compat.Hook{compat.HookCDI, compat.HookLegacy} {
			t.Run(name+" "+string(hook), func(t *testing.T) {
				t.Parallel()
				regions, random := compat.Where(n, hook), rand.New(rand.NewPCG(17, 0)) // the same hosts every time
				for range 3000 {
					h := compat.Host{
						Driver: drivers[random.IntN(len(drivers))], GPU: gpus[random.IntN(len(gpus))],
						Brand: compat.Brands()[random.IntN(len(compat.Brands()))], Hook: hook,
					}
					p := compat.Predict(n, h)
					if got := in(t, regions, h); got != p.Verdict.Runs() {
						t.Fatalf("%+v is in the regions %v: %v, want what is predicted: %s (%s)", h, regions, got, p.Verdict, p.Why)
					}
				}
			})
		}
	}
}

// TestWhereRequirement does so with every requirement that the hook's own evaluator has judged.
func TestWhereRequirement(t *testing.T) {
	t.Parallel()
	var drivers []string
	for _, d := range []string{"450.80.02", "470.57.02", "470.256.02", "525.60.13", "535.161.07", "550.54.14", "580.65.06"} {
		drivers = append(drivers, around(d)...)
	}
	random := rand.New(rand.NewPCG(17, 1)) // the same hosts every time
	for _, value := range requirements() {
		r, _ := compat.ParseRequirement("X", value)
		n := compat.Needs{Require: []compat.Requirement{r}}
		regions := compat.Where(n, compat.HookLegacy)
		for range 200 {
			h := compat.Host{
				Driver: drivers[random.IntN(len(drivers))], GPU: compat.GPUs()[random.IntN(len(compat.GPUs()))],
				Brand: compat.Brands()[random.IntN(len(compat.Brands()))], Hook: compat.HookLegacy,
			}
			if p := compat.Predict(n, h); in(t, regions, h) != p.Verdict.Runs() {
				t.Errorf("%q: %+v is in the regions %v: %v, want what is predicted: %s (%s)", value, h, regions, !p.Verdict.Runs(), p.Verdict, p.Why)
			}
		}
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	all := compat.Where(compat.Needs{}, compat.HookCDI)
	hopper := []compat.Target{{SM: 90}}
	for _, want := range []string{"", ">=535", "<580", ">=535 <580", "535", "580.159.04", "580.159", ">=580 <535", "<=580", "latest", ">=525.60.13.01", "525.60.13.01", "580 <580.65.06"} {
		for _, gpus := range [][]compat.Target{nil, hopper} {
			cut := compat.Within(all, want, gpus)
			for _, gpu := range compat.GPUs() {
				for _, driver := range slices.Concat(around("535.54.03"), around("580.159.04"), around("580.65.06"), around("525.60.13"), around("525.60.14")) {
					h := compat.Host{Driver: driver, GPU: gpu}
					if got, is := in(t, cut, h), in(t, all, h) && compat.DriverIs(want, driver) && (gpus == nil || gpu == hopper[0]); got != is {
						t.Errorf("Within(%q, %v): driver %s, %s: %v, want %v", want, gpus, driver, gpu, got, is)
					}
				}
			}
		}
	}
	if diff := cmp.Diff(compat.Where(compat.Needs{}, compat.HookCDI), all); diff != "" {
		t.Errorf("Within has changed what it was given (-want +got):\n%s", diff)
	}
}

func ExampleWhere() {
	n := compat.Needs{Parts: []compat.Part{{Name: "app", Runtime: "12.4", SASS: []compat.Target{{SM: 70}, {SM: 80}, {SM: 90}}}}}
	for _, r := range compat.Where(n, compat.HookCDI) {
		fmt.Printf("%v from %s below %q\n", r.GPUs, r.From, r.Below)
	}
	// Output:
	// [sm_70] from 525.60.13 below "581"
	// [sm_75 sm_80 sm_86 sm_89 sm_90] from 525.60.13 below ""
}

func BenchmarkWhere(b *testing.B) {
	for name, n := range wanted(&testing.T{}) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				compat.Where(n, compat.HookCDI)
			}
		})
	}
}
