// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

func TestAskedAt(t *testing.T) {
	t.Parallel()
	catalog, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	where := askedAt(catalog)
	const step = "apt install ./cudabuild-guard.deb libcudart12 # CUDA 12.4 base"
	for _, cell := range []string{"12.4-base-debian13", "12.4-runtime-debian13", "12.4-nbody-debian13"} {
		if at := where(cell)[step]; !regexp.MustCompile(`12\.4-debian13\.yaml:[1-9]`).MatchString(at) {
			t.Errorf("%s: %q is asked for at %q, want a line of its recipe", cell, step, at)
		}
	}
	for _, cell := range []string{"", "12.4-base", "12.4-none-debian13", "[-\"-\n", "99-base-debian13"} {
		if at := where(cell); len(at) > 0 {
			t.Errorf("%q: %v, want nothing", cell, at)
		}
	}
}
