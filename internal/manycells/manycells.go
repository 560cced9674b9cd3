// SPDX-License-Identifier: Apache-2.0

// Package manycells makes recipes and matrices of any size for benchmarks.
package manycells

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Vendor makes an overlay of toolkits of era 12.8.1 for made-up OSes, and a matrix of all
// of them in group default: five cells for each OS and release.
func Vendor(b testing.TB, releases, systems int) (dir string, data []byte) {
	b.Helper()
	dir = b.TempDir()
	var osNames, cudaNames []string
	for i := range systems {
		name := fmt.Sprintf("os%d", i)
		osNames = append(osNames, name)
		Write(b, filepath.Join(dir, "os", name+".yaml"), "os: %s\ntitle: x\nsource: nvidia\nmanager: apt-nvidia\nimage: x\nsize_mb: 1\n"+
			"repository: {dir: x, packages: deb, arch: {linux/amd64: x86_64}}\n", name)
	}
	for i := range releases {
		cuda := fmt.Sprintf("20.%d", i)
		cudaNames = append(cudaNames, fmt.Sprintf("%q", cuda))
		Write(b, filepath.Join(dir, "toolkit", cuda+".yaml"), "cuda: %q\nera: \"12.8.1\"\nos: {linux/amd64: [%s]}\nread: {S1: [%[2]s]}\n"+
			"pins: {cudart: 1, nvtx: 1, npp: 1, cusparse: 1, cublas: 1, nvml: 1, nvprof: 1, nccl: 1}\n", cuda, strings.Join(osNames, ", "))
	}
	return dir, fmt.Appendf(nil, "version: 1\nimage: cuda\ndefaults: {samples: [deviceQuery, nbody]}\ngroups:\n  default:\n    - {os: [%s], cuda: [%s]}\n",
		strings.Join(osNames, ", "), strings.Join(cudaNames, ", "))
}

// Write makes a file and its folder.
func Write(b testing.TB, file, format string, args ...any) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		b.Fatal(err)
	}
}
