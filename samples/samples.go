// SPDX-License-Identifier: Apache-2.0

// Package samples holds the source of the programs that show whether an image
// runs CUDA on a GPU: deviceQuery, which asks, and nbody, which computes.
//
// Names lists them and Lookup gives one. The text is embedded, so a build
// needs no files beside the binary. Both programs print "Result = PASS" or
// "Result = FAIL" as their last line and exit 0 or 1; exit 2 means waived (no
// driver, no device) and is never a pass. The package knows nothing of
// compilers or images: it hands out text.
package samples

import (
	"embed"
	"slices"
)

//go:embed deviceQuery/deviceQuery.cu nbody/nbody.cu
var sources embed.FS

// Sample is one sample program: its name, the name and text of its only source
// file, and the command an image runs by default.
type Sample struct {
	Name, File string
	Source     []byte
	Cmd        []string
}

// Names returns the names of all samples, sorted.
func Names() []string { return []string{"deviceQuery", "nbody"} }

// Lookup returns the sample of that name, and whether there is one. The caller
// owns what it gets.
func Lookup(name string) (Sample, bool) {
	if !slices.Contains(Names(), name) {
		return Sample{}, false
	}
	cmd := []string{name}
	if name == "nbody" {
		cmd = append(cmd, "-benchmark")
	}
	file := name + ".cu"
	source, err := sources.ReadFile(name + "/" + file)
	return Sample{Name: name, File: file, Source: source, Cmd: cmd}, err == nil
}
