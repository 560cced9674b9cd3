// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"regexp"
	"testing"
)

// FuzzSplitLibrary holds the cutting of names against a regular expression that says the same.
func FuzzSplitLibrary(f *testing.F) {
	same := regexp.MustCompile(`(?s)^(.+?)\.so((?:\.[0-9]+)*)$`)
	for _, name := range []string{
		"libcuda.so", "libcuda.so.1", "libcuda.so.550.54.15", "libcuda-1a2b3c4d.so.1", ".so", ".so.so", "a.so.so.1", "a.so.b.so.2",
		"liba.so.", "liba.so..1", "liba.so.1.", "liba.so1", "liba.so.1a", "liba.sox", "lib.solver.so.11", "", "x",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		stem, version, ok := splitLibrary(name)
		m := same.FindStringSubmatch(name)
		if ok != (m != nil) || ok && (stem != m[1] || version != m[2]) {
			t.Errorf("splitLibrary(%q) = %q, %q, %t, want %q", name, stem, version, ok, m)
		}
	})
}
