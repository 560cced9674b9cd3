// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

func TestRequirementInWords(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"driver>=525.60.13":                    "a driver of 525.60.13 or newer",
		"cuda>=10.2":                           "a driver for CUDA 10.2 or newer",
		"cuda>=12.4 driver<536,brand=tesla":    "a driver for CUDA 12.4 or newer, or a driver older than 536 and a GPU of brand tesla",
		"arch>=7.0":                            "a GPU of compute capability 7.0 or more",
		"driver!=535 brand!=geforce":           "a driver other than 535, or a GPU of brand other than geforce",
		"":                                     "nothing",
		"memory>4":                             `"memory>4", which hooks refuse`,
		"brand>tesla":                          `"brand>tesla", which hooks refuse`,
		strings.Repeat("driver>=470 ", 10):     "a driver of 470 or newer, or a driver of 470 or newer, or a driver of 470 or newer, or one of 7 other combinations",
		"driver=470 driver=1 driver=2 driver=": `a driver of 470, or a driver of 1, or a driver of 2, or "driver=", which hooks refuse`,
	} {
		r, _ := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", value)
		if got := r.Words(); got != want {
			t.Errorf("%q in words: %q, want %q", value, got, want)
		}
	}
}
