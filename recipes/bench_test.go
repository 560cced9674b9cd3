// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

// BenchmarkLoad reads the embedded catalog, as every command does.
func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := recipes.Load(); err != nil {
			b.Fatal(err)
		}
	}
}
