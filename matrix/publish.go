// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cudabuild/cudabuild/spec"
	"github.com/cudabuild/cudabuild/usertest"
)

// How layers may be compressed.
const (
	Zstd = "zstd"
	Gzip = "gzip"
)

// Publish is what a matrix file says of publishing.
type Publish struct {
	To string // repository; "" where the file does not say
	// Verify is the worst verdict that may be published, "pass" or "warn".
	Verify string
	GPU    []OnGPU
	// Immutable are globs on tags that never move once they are there; never nil.
	Immutable []string
	File      string // that says it
	// Tests are those of the file, which GPU may name.
	Tests []usertest.Test
}

// Test is the test of the file with that name, nil if there is none.
func (p Publish) Test(name string) *usertest.Test {
	i := slices.IndexFunc(p.Tests, func(t usertest.Test) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &p.Tests[i]
}

// OnGPU asks that samples, or tests, passed on each of some GPUs with some driver.
type OnGPU struct {
	Driver  string   // "535", a branch or a version; ">=535", "<580", and several of these
	GPUs    []string // architectures, "sm_80"
	Samples []string // and names of tests
}

// publish is the mapping of that name.
type publish struct {
	To        string      `yaml:"to" form:"image" doc:"Repository that images are pushed to; the command line may name another, and image: is the default."`
	Require   require     `yaml:"require" doc:"What must hold before a tag moves to an image."`
	Immutable []spec.Word `yaml:"immutable" form:"names" doc:"Tags that never move once they name an image: *-[0-9][0-9].[0-9][0-9]."`
}

type require struct {
	Verify string  `yaml:"verify" form:"verdict" doc:"The worst verdict to let through: warn, the default, or pass."`
	GPU    []onGPU `yaml:"gpu" hint:"write gpu: [{driver: '>=535', gpu: [sm_90], samples: [nbody]}]" doc:"Runs on GPUs that must have passed, by the rows of GPU hosts."`
}

type onGPU struct {
	At      spec.Place  `doc:"Each sample must have passed on each kind of GPU with such a driver."`
	Driver  string      `yaml:"driver,required" form:"driver" doc:"Which drivers count: '>=535', '535' for that branch, '>=535 <580'."`
	GPU     []spec.Word `yaml:"gpu,required,some" form:"sm" doc:"Architectures of GPUs, each of which must be there."`
	Samples []spec.Word `yaml:"samples,required,some" form:"ran" doc:"Samples and tests of this file that must have passed."`
}

// publishing is what the file says, defaults filled in.
func (f file) publishing(at *spec.File) Publish {
	p := Publish{File: at.Path, Tests: f.Tests.Tests(at), To: f.Publish.To, Verify: f.Publish.Require.Verify, Immutable: texts(f.Publish.Immutable)}
	if p.Verify == "" {
		p.Verify = "warn"
	}
	for _, g := range f.Publish.Require.GPU {
		p.GPU = append(p.GPU, OnGPU{Driver: g.Driver, GPUs: texts(g.GPU), Samples: texts(g.Samples)})
	}
	return p
}

// checkGates reports the tests that gates name and that no run could answer, or no cell is
// asked for.
func (m *Matrix) checkGates(at *spec.File, gates []onGPU) {
	for _, g := range gates {
		for _, name := range g.Samples {
			i := slices.IndexFunc(m.publish.Tests, func(t usertest.Test) bool { return t.Name == name.Text })
			if i < 0 {
				continue // a sample
			}
			if why, next := m.idle(m.publish.Tests[i], g); why != "" {
				at.At(name.Place, next, "no run of test %q can answer this: %s", name.Text, why)
			}
		}
	}
}

// idle says why no run of a test can answer a gate, and what to do about it; "" if one can.
func (m *Matrix) idle(test usertest.Test, g onGPU) (why, next string) {
	cells := slices.Concat(slices.Collect(maps.Values(m.cells))...)
	if test.Image != "" && !slices.ContainsFunc(cells, func(c Cell) bool { return test.Of(c.ID) }) {
		return fmt.Sprintf("image %q matches the ID of no cell", test.Image), "write a glob on cell IDs such as '*-runtime-*', not on references; 'cudabuild plan' prints the IDs"
	}
	return test.Never(g.Driver, texts(g.GPU))
}

// Publish is what the file says of publishing.
func (m *Matrix) Publish() Publish { return m.publish }

// Digest is that of the file, "sha256:...".
func (m *Matrix) Digest() string { return m.digest }

// Image is the repository of every tag.
func (m *Matrix) Image() string { return m.tagging.image }

// Compression is how layers are compressed, [Zstd] or [Gzip].
func (m *Matrix) Compression() string { return m.compression }

// Builders are the BuildKits that the file names, as they stand there.
func (m *Matrix) Builders() []string { return m.builders }
