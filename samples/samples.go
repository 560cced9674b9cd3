// SPDX-License-Identifier: Apache-2.0

// Package samples holds the source of the programs that show whether an image
// runs CUDA on a GPU: deviceQuery, which asks; nbody, bandwidthTest and
// vectorAdd, which compute; and one program for each library of the toolkit,
// which compares what the library computes with the CPU.
//
// Names lists them and Lookup gives one. The text is embedded, so a build
// needs no files beside the binary. Each program prints one JSON document with
// --json, else "Result = PASS" or "Result = FAIL" as its last line, and exits
// 0 or 1; exit 2 means waived (no driver, no device) and is never a pass. The
// package knows nothing of compilers or images: it hands out text.
package samples

import (
	"embed"
	"slices"
	"strings"
)

//go:embed */*.cu
var sources embed.FS

// Header is the text of the file that the samples include, deviceQuery and nbody apart.
//
//go:embed sample.h
var Header string

// HeaderFile is the name by which they include it.
const HeaderFile = "sample.h"

// Sample is one sample program: its name, the name and text of its only source
// file, and the command an image runs by default.
type Sample struct {
	Name, File, Source string
	Cmd                []string
	// Libraries are those of the CUDA toolkit that it is linked to, by the names of the
	// linker's -l. A sample with some stands on the flavor that has them, runtime; one
	// without on the lowest.
	Libraries []string
	// Since is the first CUDA release that has the libraries, with what it calls of them, "" for all.
	Since string
}

// all has every sample, sorted by name. What it says of releases is from
// knowledge, not read off each of them.
var all = []Sample{
	{Name: "bandwidthTest"},
	{Name: "cublas", Libraries: []string{"cublas", "cublasLt"}, Since: "11.0"}, // cublasComputeType_t's first
	{Name: "cufft", Libraries: []string{"cufft"}},
	{Name: "curand", Libraries: []string{"curand"}},
	{Name: "cusolver", Libraries: []string{"cusolver"}, Since: "7.0"},
	{Name: "cusparse", Libraries: []string{"cusparse"}},
	{Name: "deviceQuery"},
	{Name: "nbody", Cmd: []string{"-benchmark"}},
	{Name: "npp", Libraries: strings.Fields("nppial nppicc nppidei nppif nppig nppim nppist nppisu nppitc npps nppc"), Since: "10.1"}, // _Ctx's first
	{Name: "nvjpeg", Libraries: []string{"nvjpeg"}, Since: "10.1"},                                                                    // the first that encodes
	{Name: "nvrtc", Libraries: []string{"nvrtc"}, Since: "7.5"},
	{Name: "vectorAdd"},
}

// Names returns the names of all samples, sorted.
func Names() []string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Name
	}
	return names
}

// Lookup returns the sample of that name, and whether there is one. The caller
// owns what it gets.
func Lookup(name string) (Sample, bool) {
	i := slices.IndexFunc(all, func(s Sample) bool { return s.Name == name })
	if i < 0 {
		return Sample{}, false
	}
	s := all[i]
	s.File = s.Name + ".cu"
	source, err := sources.ReadFile(s.Name + "/" + s.File)
	if err != nil {
		return Sample{}, false // a line of the table without its file: TestLookup finds it
	}
	s.Source, s.Cmd, s.Libraries = string(source), append([]string{s.Name}, s.Cmd...), slices.Clone(s.Libraries)
	return s, true
}
