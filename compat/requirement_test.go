// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/compat"
)

// nvidia124 is what NVIDIA's own images of CUDA 12.4 ask for, shortened to two brands.
const nvidia124 = "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=nvidia,driver>=470,driver<471 " +
	"brand=tesla,driver>=525,driver<526 brand=nvidia,driver>=525,driver<526 brand=tesla,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536"

func TestRequirement(t *testing.T) {
	t.Parallel()
	h100 := compat.Host{Driver: "535.161.07", GPU: compat.Target{SM: 90}, Brand: "NVIDIA"}
	for _, tc := range []struct {
		name, value string
		host        compat.Host
		want        compat.Answer
	}{
		{"empty", "", h100, compat.Answer{Holds: true}},
		{"floor", "driver>=525.60.13", h100, compat.Answer{Holds: true}},
		{"driver too old", "driver>=550.54.14", h100, compat.Answer{Why: "driver>=550.54.14: the driver is 535.161.07", Driver: "550.54.14"}},
		{"release", "cuda>=12.4", h100, compat.Answer{Why: "cuda>=12.4: driver 535.161.07 offers CUDA 12.2", Driver: "550.54.14"}},
		{"release as the driver says", "cuda>=12.4", compat.Host{Driver: "535.161.07", CUDA: "12.4"}, compat.Answer{Holds: true}},
		{"stray blank", "cuda>=12.0 ", h100, compat.Answer{Holds: true}},
		{"numbers, not text", "cuda>=9.0", h100, compat.Answer{Holds: true}},
		{"alternative", nvidia124, h100, compat.Answer{Holds: true}},
		{"brand without regard to case", "brand=nvidia", h100, compat.Answer{Holds: true}},
		{"brand not known", "brand=tesla", compat.Host{Driver: "535.161.07"}, compat.Answer{Holds: true}},
		{"other brand", "brand!=geforce", compat.Host{Driver: "535", Brand: "GeForce"}, compat.Answer{Why: "brand!=geforce: the GPU's brand is geforce"}},
		{
			"closest alternative", nvidia124,
			compat.Host{Driver: "535.161.07", GPU: compat.Target{SM: 86}, Brand: "GeForce"},
			compat.Answer{Why: "cuda>=12.4: driver 535.161.07 offers CUDA 12.2", Driver: "550.54.14"},
		},
		{"architecture", "arch>=9.0", compat.Host{Driver: "535", GPU: compat.Target{SM: 86}}, compat.Answer{Why: "arch>=9.0: the GPU has compute capability 8.6"}},
		{"architecture not known", "arch>=9.0", compat.Host{Driver: "535"}, compat.Answer{Holds: true}},
		{"ten is above nine", "arch>=9.0", compat.Host{Driver: "570.26", GPU: compat.Target{SM: 100}}, compat.Answer{Holds: true}},
		{
			"two terms fail", "driver>=580,arch>=10.0", h100,
			compat.Answer{Why: "driver>=580: the driver is 535.161.07, and arch>=10.0: the GPU has compute capability 9.0"},
		},
		{"older driver wanted", "driver<470", h100, compat.Answer{Why: "driver<470: the driver is 535.161.07", Driver: "465.19.01"}},
		{"not equal", "cuda!=12.2", h100, compat.Answer{Why: "cuda!=12.2: driver 535.161.07 offers CUDA 12.2", Driver: "545.23.06"}},
		{"nothing known is that new", "cuda>=99.0", h100, compat.Answer{Why: "cuda>=99.0: driver 535.161.07 offers CUDA 12.2"}},
		{"other comparisons", "driver>535,driver<=535.161.7,cuda=12.2", h100, compat.Answer{Holds: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, err := compat.ParseRequirement("X", tc.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, r.Check(tc.host)); diff != "" {
				t.Errorf("%q on %+v (-want +got):\n%s", tc.value, tc.host, diff)
			}
		})
	}
}

func TestParseRequirementRefuses(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"cuda=>12":                        `unknown comparison "=>"`,
		"cuda":                            "want property, comparison and value",
		"cuda>=":                          "no value",
		"cuda>=twelve":                    `"twelve" is no version`,
		"cuda>=\"12.4\"":                  "is no version",
		"cuda>=12.4\tdriver>=525":         "is no version",
		"brand>=tesla":                    "= and != only",
		"cuda>=12.4;x":                    `"12.4;x" is no version`,
		"uptime>=1":                       `unknown property "uptime"`,
		"cuda>=99 os=linux":               `unknown property "os"`,
		strings.Repeat("cuda>=9 ", 1<<14): "more than an argument",
	} {
		if r, err := compat.ParseRequirement("NVIDIA_REQUIRE_X", value); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "NVIDIA_REQUIRE_X: ") {
			t.Errorf("ParseRequirement(%q) = %q, %v, want %q", value, r, err, want)
		}
	}
	for _, value := range []string{"CUDA>=12.3", "cuda>=12.4,", "driver>=525.60.13.", "brand=Tesla", "cuda!12"} {
		if _, err := compat.ParseRequirement("X", value); err != nil {
			t.Errorf("ParseRequirement(%q): %v, want none", value, err)
		}
	}
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		env  []string
		want []string
		bad  bool
	}{
		{"none", []string{"PATH=/bin"}, nil, false},
		{"one", []string{"NVIDIA_REQUIRE_CUDA=cuda>=12.4", "CUDA_VERSION=12.4.1"}, []string{"NVIDIA_REQUIRE_CUDA: cuda>=12.4"}, false},
		{"all hold", []string{"NVIDIA_REQUIRE_X=arch>=8.0", "NVIDIA_REQUIRE_CUDA=cuda>=12.4"}, []string{"NVIDIA_REQUIRE_CUDA: cuda>=12.4", "NVIDIA_REQUIRE_X: arch>=8.0"}, false},
		{"legacy image", []string{"CUDA_VERSION=9.0.176"}, []string{"CUDA_VERSION: cuda>=9.0"}, false},
		{"empty requirement", []string{"CUDA_VERSION=8.0", "NVIDIA_REQUIRE_CUDA="}, []string{"CUDA_VERSION: cuda>=8.0"}, false},
		{"odd version", []string{"CUDA_VERSION=latest"}, []string{"CUDA_VERSION: "}, true},
		{"switched off", []string{"NVIDIA_REQUIRE_CUDA=cuda>=12.4", "NVIDIA_DISABLE_REQUIRE=1"}, nil, false},
		{"not switched off", []string{"NVIDIA_REQUIRE_CUDA=cuda>=12.4", "NVIDIA_DISABLE_REQUIRE=false"}, []string{"NVIDIA_REQUIRE_CUDA: cuda>=12.4"}, false},
		{"jetpack is another thing", []string{"NVIDIA_REQUIRE_JETPACK=csv-mounts=all"}, nil, false},
		{"one of two is bad", []string{"NVIDIA_REQUIRE_CUDA=cuda=>12.3", "NVIDIA_REQUIRE_X=arch>=8.0"}, []string{"NVIDIA_REQUIRE_CUDA: cuda=>12.3", "NVIDIA_REQUIRE_X: arch>=8.0"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			requirements, err := compat.Requirements(tc.env)
			var got []string
			for _, r := range requirements {
				got = append(got, r.Name+": "+r.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || (err != nil) != tc.bad {
				t.Errorf("Requirements(%q): %v (-want +got):\n%s", tc.env, err, diff)
			}
		})
	}
}

// FuzzRequirement: what is read prints to something that reads the same, and
// answers are consistent.
func FuzzRequirement(f *testing.F) {
	for _, value := range []string{nvidia124, "cuda>=9.0 ", "driver>=525.60.13", "brand!=titan,arch<9.0", "CUDA>=12.3", ",", "a=b"} {
		f.Add(value, "535.161.07", "tesla", uint16(90))
	}
	f.Fuzz(func(t *testing.T, value, driver, brand string, sm uint16) {
		r, bad := compat.ParseRequirement("X", value)
		again, err := compat.ParseRequirement("X", r.String())
		if again.String() != r.String() || (err == nil) != (bad == nil) && len(value) < 100_000 {
			t.Fatalf("%q printed as %q (%v), read again as %q, %v", value, r, bad, again, err)
		}
		h := compat.Host{Driver: driver, Brand: brand, GPU: compat.Target{SM: int(sm)}}
		a := r.Check(h)
		if a.Holds != (a.Why == "") || again.Check(h) != a {
			t.Fatalf("%q on %+v: %+v, printed form %+v", value, h, a, again.Check(h))
		}
		if a.Driver != "" && (a.Holds || !r.Check(compat.Host{Driver: a.Driver, Brand: brand, GPU: h.GPU}).Holds) {
			t.Fatalf("%q on %+v: driver %s would not do", value, h, a.Driver)
		}
	})
}

func ExampleRequirement_Check() {
	r, _ := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", "cuda>=12.4")
	a := r.Check(compat.Host{Driver: "535.161.07", GPU: compat.Target{SM: 90}})
	fmt.Println(a.Holds, a.Why, a.Driver)
	// Output: false cuda>=12.4: driver 535.161.07 offers CUDA 12.2 550.54.14
}
