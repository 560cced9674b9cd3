// SPDX-License-Identifier: Apache-2.0

// Package samples holds the source of the sample programs that show whether an
// image runs on a GPU.
package samples

import "embed"

//go:embed deviceQuery/deviceQuery.cu nbody/nbody.cu
var sources embed.FS

// Sample is one sample program.
type Sample struct {
	Name   string
	File   string   // source file name
	Source []byte   // source text
	Cmd    []string // what an image runs by default
}

var commands = map[string][]string{
	"deviceQuery": {"deviceQuery"},
	"nbody":       {"nbody", "-benchmark"},
}

// Names returns the name of every sample, sorted.
func Names() []string { return []string{"deviceQuery", "nbody"} }

// Lookup returns the sample of that name.
func Lookup(name string) (Sample, bool) {
	cmd, ok := commands[name]
	if !ok {
		return Sample{}, false
	}
	file := name + ".cu"
	source, err := sources.ReadFile(name + "/" + file)
	return Sample{Name: name, File: file, Source: source, Cmd: cmd}, err == nil
}
