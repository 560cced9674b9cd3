// SPDX-License-Identifier: Apache-2.0

package llb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
)

// BenchmarkCompile expands a matrix of n cells and compiles each of them, on all cores.
// The cells are five for each pair of a made-up OS and a made-up CUDA release.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("cells=%d", n), func(b *testing.B) {
			dir, data := generate(b, n/5/10, 10)
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
				compiler, workers := llb.NewCompiler(c), runtime.GOMAXPROCS(0)
				var group sync.WaitGroup
				for part := range slices.Chunk(cells, (n+workers-1)/workers) {
					group.Go(func() {
						for _, cell := range part {
							if _, err := compiler.Compile(b.Context(), cell, "linux/amd64", rootOf(cell.OS)); err != nil {
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

// generate makes an overlay of toolkits for OSes and a matrix of all of them.
func generate(b *testing.B, releases, systems int) (dir string, data []byte) {
	b.Helper()
	dir = b.TempDir()
	var osNames, cudaNames []string
	for i := range systems {
		name := fmt.Sprintf("os%d", i)
		osNames = append(osNames, name)
		write(b, filepath.Join(dir, "os", name+".yaml"), "os: %s\ntitle: x\nsource: nvidia\nmanager: apt-nvidia\nimage: x\nsize_mb: 1\n"+
			"repository: {dir: x, packages: deb, arch: {linux/amd64: x86_64}}\n", name)
	}
	for i := range releases {
		cuda := fmt.Sprintf("20.%d", i)
		cudaNames = append(cudaNames, fmt.Sprintf("%q", cuda))
		write(b, filepath.Join(dir, "toolkit", cuda+".yaml"), "cuda: %q\nera: \"12.8.1\"\nos: {linux/amd64: [%s]}\nread: {S1: [%[2]s]}\n"+
			"pins: {cudart: 1, nvtx: 1, npp: 1, cusparse: 1, cublas: 1, nvml: 1, nvprof: 1, nccl: 1}\n", cuda, strings.Join(osNames, ", "))
	}
	return dir, fmt.Appendf(nil, "version: 1\nimage: cuda\ndefaults: {samples: [deviceQuery, nbody]}\ngroups:\n  default:\n    - {os: [%s], cuda: [%s]}\n",
		strings.Join(osNames, ", "), strings.Join(cudaNames, ", "))
}

func write(b *testing.B, file, format string, args ...any) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		b.Fatal(err)
	}
}
