// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/manycells"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// BenchmarkExpand reads a matrix of n cells, five for each pair, from bytes to cells.
func BenchmarkExpand(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("cells=%d", n), func(b *testing.B) {
			c, data := generate(b, n/5/10, 10)
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
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/cell")
		})
	}
}

// BenchmarkExpandVendor is the same with toolkits of a vendor's repositories in place of
// releases that say all in full.
func BenchmarkExpandVendor(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("cells=%d", n), func(b *testing.B) {
			dir, data := manycells.Vendor(b, n/5/10, 10)
			b.ReportAllocs()
			for b.Loop() {
				c, err := recipes.Load(dir)
				if err != nil {
					b.Fatal(err)
				}
				m, err := matrix.Parse("f", data, c)
				if err != nil {
					b.Fatal(err)
				}
				cells, err := m.Expand("default", nil)
				if err != nil || len(cells) != n {
					b.Fatalf("Expand = %d cells, %v, want %d", len(cells), err, n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/cell")
		})
	}
}

// generate makes recipes of releases for systems and a matrix of all of them.
func generate(b *testing.B, releases, systems int) (*recipes.Catalog, []byte) {
	b.Helper()
	dir := b.TempDir()
	var osNames, cudaNames []string
	for i := range systems {
		name := fmt.Sprintf("os%d", i)
		osNames = append(osNames, name)
		manycells.Write(b, filepath.Join(dir, "os", name+".yaml"),
			"os: %s\ntitle: x\nsource: made\nmanager: apt\nbootstrap: {suite: x, size_mb: 1}\n", name)
	}
	for i := range releases {
		cuda := fmt.Sprintf("20.%d", i)
		cudaNames = append(cudaNames, fmt.Sprintf("%q", cuda))
		manycells.Write(b, filepath.Join(dir, "cuda", cuda+".yaml"), "cuda: %q\nsource: made\nos: [%s]\nplatforms: [linux/amd64]\nversion: %q\n"+
			"layers: {base: {packages: [a]}, runtime: {packages: [b]}, devel: {packages: [c]}}\nsamples: {sass: [50], ptx: 50}\n",
			cuda, strings.Join(osNames, ", "), cuda)
	}
	c, err := recipes.Load(dir)
	if err != nil {
		b.Fatal(err)
	}
	return c, fmt.Appendf(nil, "version: 1\nimage: cuda\ndefaults: {samples: [deviceQuery, nbody]}\ntags: {\"{cuda}-{kind}\": '*-os0', latest: 20.0-devel-os0, \"{cuda}.0-{kind}-{os}\": '*'}\ngroups:\n  default:\n    - {os: [%s], cuda: [%s]}\n",
		strings.Join(osNames, ", "), strings.Join(cudaNames, ", "))
}
