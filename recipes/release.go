// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/samples"
	"github.com/cudabuild/cudabuild/spec"
	"github.com/cudabuild/cudabuild/support"
)

// Flavor is one of the layers that CUDA images stack up. Beside the three below a
// release may have variants with cuDNN, such as "cudnn8-runtime" on runtime.
type Flavor string

// The flavors that most releases have, each built on the one before it.
const (
	Base    Flavor = "base"
	Runtime Flavor = "runtime"
	Devel   Flavor = "devel"
)

// Flavors returns base, runtime and devel, in the order in which they stack up.
func Flavors() []Flavor { return []Flavor{Base, Runtime, Devel} }

// stem is the flavor that a variant stands on: runtime for cudnn8-runtime. It is ""
// for what is no variant.
func (f Flavor) stem() Flavor {
	if i := strings.LastIndexByte(string(f), '-'); i >= 0 {
		return f[i+1:]
	}
	return ""
}

// known reports whether f is base, runtime or devel, or a variant of one of these.
func (f Flavor) known() bool {
	stem := f.stem()
	return slices.Contains(Flavors(), f) || stem != "" && slices.Contains(Flavors(), stem)
}

// CompareFlavors orders flavors so that none comes before one that it stands on.
func CompareFlavors(a, b Flavor) int {
	rank := func(f Flavor) int {
		if stem := f.stem(); stem != "" {
			return len(Flavors()) + slices.Index(Flavors(), stem)
		}
		return slices.Index(Flavors(), f)
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

// Release is one CUDA release as packaged for an operating system, whatever file it is from.
// Layers, Pins and Unsourced are those of the first platform; [Release.On] has those of another.
type Release struct {
	CUDA      string // "12.4": the word in cell IDs
	Source    string
	OS        string
	Platforms []string
	Version   string // CUDA_VERSION
	Layers    map[Flavor]Layer
	Guard     Guard
	Samples   Samples
	// Ends is when the vendor maintains it no more, nil if nobody says: Debian does it with its OS.
	Ends *support.End

	// Pins are the packages of Layers with a version, in the order of installation. A
	// release from a distribution's own repository has none: its index is the pin.
	Pins []Pin
	// Unsourced are the packages of Layers that ought to have a version but for which
	// no source gives one. A cell that installs any is not reproducible.
	Unsourced []string
	// Witnessed are those of them whose version somebody else says, who is its source here.
	Witnessed []Pin

	compat  *forward           // if there is a cuda-compat
	require map[string]string  // NVIDIA_REQUIRE_CUDA by platform, of images with cuda-compat
	on      map[string]Release // on other platforms than the first, where it is another there
	own     map[Flavor]own     // those of Layers that are the user's
	origin
}

// origin is where a release is said.
type origin struct {
	file  string                // "cuda/ANY.yaml"
	path  string                // the same with the directory that it was read from
	lines map[string]spec.Place // of the parts that become build steps, and of pins
	eras  []string              // files that say the rest, "era/NAME.yaml"
}

// Pin is a package's version and who says so.
type Pin struct {
	Package string // "cuda-cudart-9-0"
	Version string // "9.0.176-1"
	Source  string // "nvidia/cuda's Dockerfiles for ubuntu16.04, merge request 3"
	Date    string // of the source, 2018-11-12
	Where   string // file and line of the recipe: "recipes/toolkit/9.0.yaml:7"
	// By is the file of a folder of the user's on whose word the source has it, "" if it is cudabuild's own.
	By string
}

// Layer is what one flavor adds to the one below it.
type Layer struct {
	// Packages are the package manager's arguments: names, with versions in its own way.
	Packages []string
	Env      map[string]string
	// Hold names packages that an upgrade in a derived image must leave alone.
	Hold   []string
	Files  map[string]string // content by path
	Modes  map[string]string // of Files, four octal digits; "" is what a new file has
	Links  map[string]string // target by path
	SizeMB int               // unpacked, what the disk check counts
}

// Guard is the control-only package that stands in for the driver: it provides
// the names that the toolkit's packages ask for and conflicts with the driver's
// packages, so that neither this build nor a derived one can install the driver.
type Guard struct{ Provides []string }

// SampleNames returns the name of every sample program, sorted.
func SampleNames() []string { return samples.Names() }

// Samples says how the release's nvcc compiles the sample programs.
type Samples struct {
	SASS []int // compute capabilities times ten, ascending
	PTX  int
}

// Where returns the file and line that say how a part of the release is made: the
// packages of a flavor, or "samples". The line is 0 if the recipe does not say it.
func (r Release) Where(part string) (file string, line int) {
	if o, ok := r.own[Flavor(part)]; ok {
		return cmp.Or(o.at.File, o.path), o.at.Line
	}
	at, ok := r.lines[part]
	if !ok { // a variant
		at = r.lines[string(Flavor(part).stem())]
	}
	return cmp.Or(at.File, r.path), at.Line
}

// Flavors returns the flavors that the release has, in the order of [CompareFlavors].
// The first is base, or runtime before CUDA 9.0.
func (r Release) Flavors() []Flavor {
	return slices.SortedFunc(maps.Keys(r.Layers), CompareFlavors)
}

// Lowest is the flavor that stands on the root.
func (r Release) Lowest() Flavor { return r.Flavors()[0] }

// SampleOn returns the flavor that a sample is placed on: runtime, which has libraries, for
// one that is linked to some, else the lowest. An error says why the release cannot have the
// sample.
func (r Release) SampleOn(name string) (Flavor, error) {
	sample, known := samples.Lookup(name)
	_, libraries := r.Layers[Runtime]
	switch {
	case !known:
		return "", fmt.Errorf("no sample %q", name)
	case sample.Since != "" && compat.Compare(r.CUDA, sample.Since) < 0:
		return "", fmt.Errorf("CUDA %s for %s is too old for %s, which needs %s", r.CUDA, r.OS, name, sample.Since)
	case len(sample.Libraries) == 0:
		return r.Lowest(), nil
	case !libraries:
		return "", fmt.Errorf("CUDA %s for %s has no %s, whose libraries %s needs", r.CUDA, r.OS, Runtime, name)
	}
	return Runtime, nil
}

// LayerEnv is what the layers up to f set, the higher ones over the lower.
func (r Release) LayerEnv(f Flavor) map[string]string {
	values := map[string]string{}
	for _, flavor := range r.Chain(f) {
		maps.Copy(values, r.Layers[flavor].Env)
	}
	return values
}

// Chain returns the flavors that an image of f stacks up, lowest first and f last. It
// is nil if the release has no f.
func (r Release) Chain(f Flavor) []Flavor {
	if _, ok := r.Layers[f]; !ok {
		return nil
	}
	if stem := f.stem(); stem != "" {
		return append(r.Chain(stem), f)
	}
	i := slices.Index(Flavors(), f)
	if i <= 0 {
		return []Flavor{f}
	}
	return append(r.Chain(Flavors()[i-1]), f)
}

// On returns the release with the layers that it has on one of its platforms.
func (r Release) On(platform string) Release {
	if other, ok := r.on[platform]; ok {
		return other
	}
	return r
}

// UnsourcedOn returns what [Release.UnsourcedIn] does on any of the platforms, each once.
func (r Release) UnsourcedOn(f Flavor, platforms []string) []string {
	var names []string
	for _, platform := range platforms {
		for _, name := range r.On(platform).UnsourcedIn(f) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// UnsourcedIn returns those of Unsourced that an image of a flavor installs.
func (r Release) UnsourcedIn(f Flavor) []string {
	var names []string
	for _, flavor := range r.Chain(f) {
		for _, p := range r.Layers[flavor].Packages {
			if slices.Contains(r.Unsourced, p) {
				names = append(names, p)
			}
		}
	}
	return names
}

// RequireFor returns NVIDIA_REQUIRE_CUDA of the release's images for a platform.
func (r Release) RequireFor(platform string) string {
	if value, ok := r.require[platform]; ok {
		return value
	}
	return compat.RequireCUDA(r.CUDA)
}

// minor cuts a CUDA release to its first two numbers: "12.4" of "12.4.1".
func minor(cuda string) string {
	parts := strings.SplitN(cuda, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

func compareReleases(a, b Release) int {
	return cmp.Or(compat.Compare(a.CUDA, b.CUDA), cmp.Compare(a.CUDA, b.CUDA), cmp.Compare(a.OS, b.OS))
}
