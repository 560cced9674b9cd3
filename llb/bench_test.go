// SPDX-License-Identifier: Apache-2.0

package llb_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/cudabuild/cudabuild/internal/manycells"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
)

// BenchmarkCompile expands a matrix of n cells and compiles each of them, on all cores.
// The cells are five for each pair of a made-up OS and a made-up CUDA release.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("cells=%d", n), func(b *testing.B) {
			dir, data := manycells.Vendor(b, n/5/10, 10)
			c := catalog(b, dir)
			b.ReportAllocs()
			for b.Loop() {
				m, err := matrix.Parse("f", data, c)
				if err != nil {
					b.Fatal(err)
				}
				cells, err := m.Expand("default", nil)
				if err != nil || len(cells) != n {
					b.Fatalf("Expand = %d cells, %v, want %d", len(cells), err, n)
				}
				compiler, workers := &llb.Compiler{}, runtime.GOMAXPROCS(0)
				var group sync.WaitGroup
				for part := range slices.Chunk(cells, (n+workers-1)/workers) {
					group.Go(func() {
						for _, cell := range part {
							if _, err := compiler.Compile(b.Context(), cell, "linux/amd64", rootOf(cell.Recipe.OS)); err != nil {
								b.Error(err)
							}
						}
					})
				}
				group.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/cell")
		})
	}
}
