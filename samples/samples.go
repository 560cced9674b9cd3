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

import _ "embed" // the texts

//go:embed deviceQuery/deviceQuery.cu
var deviceQuery string

//go:embed nbody/nbody.cu
var nbody string

// Sample is one sample program: its name, the name and text of its only source
// file, and the command an image runs by default.
type Sample struct {
	Name, File, Source string
	Cmd                []string
	// Libraries are those of the CUDA toolkit that it is linked to, by the names of the
	// linker's -l. A sample with some stands on the flavor that has them, runtime; one
	// without on the lowest.
	Libraries []string
	// Since is the first CUDA release that has the libraries, "" for all.
	Since string
}

// Names returns the names of all samples, sorted.
func Names() []string { return []string{"deviceQuery", "nbody"} }

// Lookup returns the sample of that name, and whether there is one. The caller
// owns what it gets.
func Lookup(name string) (Sample, bool) {
	switch name {
	case "deviceQuery":
		return Sample{Name: name, File: name + ".cu", Source: deviceQuery, Cmd: []string{name}}, true
	case "nbody":
		return Sample{Name: name, File: name + ".cu", Source: nbody, Cmd: []string{name, "-benchmark"}}, true
	default:
		return Sample{}, false
	}
}
