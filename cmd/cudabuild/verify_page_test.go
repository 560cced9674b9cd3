// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"usr/lib/libcuda.so":    "usr/lib/libcuda.so",
		`archive, "a": bad "b"`: `archive, "a": bad "b"`,
		"a\x1b[2J\nPASS":        `a\x1b[2J\nPASS`,
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %s, want %s", in, got, want)
		}
	}
}
