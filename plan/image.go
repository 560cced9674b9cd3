// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

// Image is how the image of a cell is made on one platform. Images of a family share
// memory: what they hold is not to be changed.
type Image struct {
	*Family

	Cell matrix.Cell
	// Steps are all that is needed, none before one that it needs. The last one makes
	// the image.
	Steps  []Step
	Env    map[string]string
	Labels map[string]string
	Cmd    []string
}

// New returns how the image of a cell is made on one of its platforms.
func New(cell matrix.Cell, platform string) (*Image, error) {
	f, err := NewFamily(cell, platform)
	if err != nil {
		return nil, err
	}
	return f.Image(cell)
}

// Image returns how the image of a cell of the family is made.
func (f *Family) Image(cell matrix.Cell) (*Image, error) {
	i := &Image{Family: f, Cell: cell, Labels: f.labels(cell), Cmd: []string{"bash"}}
	top, err := cell.Flavor, i.flavor(cell.Flavor)
	if cell.Sample != "" {
		top, err = i.sample(cell)
	}
	if err != nil {
		return nil, fmt.Errorf("cell %s: %w", cell.ID, err)
	}
	i.Env = f.environment(top, cell.Env)
	return i, nil
}

// flavor adds the steps of a flavor and of those below it.
func (i *Image) flavor(flavor recipes.Flavor) error {
	chain := i.Release.Chain(flavor)
	if chain == nil {
		return fmt.Errorf("CUDA %s on %s has no %q", i.Release.CUDA, i.OS.Name, flavor)
	}
	for _, step := range i.Flavors {
		if slices.Contains(chain, recipes.Flavor(step.Name)) {
			i.Steps = append(i.Steps, step)
		}
	}
	return nil
}

// sample adds the steps that compile a sample in devel and place it on the flavor that they
// return, which has the libraries that it is linked to.
func (i *Image) sample(cell matrix.Cell) (recipes.Flavor, error) {
	on, err := i.Release.SampleOn(cell.Sample)
	if err != nil {
		return "", err
	}
	if err := i.flavor(recipes.Devel); err != nil {
		return "", err
	}
	sample, _ := samples.Lookup(cell.Sample)
	nvcc := i.nvcc(sample)
	compile := Step{
		Name: "compile " + sample.Name, Below: string(recipes.Devel), Title: "compile " + sample.File,
		Script: nvcc + "\n", Env: i.Release.LayerEnv(recipes.Devel),
		Mounts: []Mount{
			{Mount: recipes.Mount{Path: SourceDir, Kind: SourceMount}, Name: sample.File, Text: sample.Source},
			{Mount: recipes.Mount{Path: "/tmp", Kind: recipes.TmpfsMount}},
			{Mount: recipes.Mount{Path: OutputDir, Kind: OutputMount}},
		},
	}
	if sample.HasHeader() {
		compile.Mounts = append(compile.Mounts,
			Mount{Mount: recipes.Mount{Path: headerDir, Kind: SourceMount}, Name: samples.HeaderFile, Text: samples.Header})
	}
	compile.File, compile.Line = i.Release.Where("samples")
	i.Steps = append(i.Steps, compile, Step{
		Name: "place " + sample.Name, Below: string(on), Title: "place " + sample.Name,
		Script: "cp " + OutputDir + "/" + sample.Name + " /usr/local/bin/\n", Program: sample.Name,
		Mounts:  []Mount{{Mount: recipes.Mount{Path: OutputDir, Kind: ResultMount}, Name: compile.Name}},
		History: nvcc + " # compiled in " + cell.Builder,
	})
	i.Cmd = sample.Cmd
	return on, nil
}

// Where the steps of a sample find its source, and the program.
const (
	SourceDir = "/run/cudabuild/src"
	OutputDir = "/run/cudabuild/out"
	headerDir = "/run/cudabuild/include"
)

// Layers returns the steps that make the layers of the image above its root, lowest first.
func (i *Image) Layers() []Step {
	var layers []Step
	name := i.Steps[len(i.Steps)-1].Name
	for _, step := range slices.Backward(i.Steps) {
		if step.Name == name {
			layers, name = append(layers, step), step.Below
		}
	}
	slices.Reverse(layers)
	return layers
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is that of an image whose highest flavor is top: what the runtime hook
// reads, and what the layers set. What the matrix adds replaces none of it.
func (f *Family) environment(top recipes.Flavor, more map[string]string) map[string]string {
	values := map[string]string{}
	maps.Copy(values, more)
	maps.Copy(values, map[string]string{
		"PATH":                       defaultPath,
		"CUDA_VERSION":               f.Release.Version,
		"NVIDIA_VISIBLE_DEVICES":     "all",
		"NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
		"NVIDIA_REQUIRE_CUDA":        f.Release.RequireFor(f.Platform),
	})
	maps.Copy(values, f.Release.LayerEnv(top))
	return values
}

// EndsLabel is the label with the last day on which an image's CUDA release and its OS are both
// maintained, "2028-06-30", if that is known (package support).
const EndsLabel = "io.github.cudabuild.ends"

// labels are what is known of the image without building it, over those of the matrix. Where
// the source of an image is, its owner says.
func (f *Family) labels(cell matrix.Cell) map[string]string {
	values := map[string]string{}
	maps.Copy(values, cell.Labels)
	values[ocispec.AnnotationTitle] = cell.ID
	values[ocispec.AnnotationVersion] = f.Release.Version
	if end := f.Ends(); end != nil && end.Date != "" {
		values[EndsLabel] = end.Date
	}
	return values
}

// nvcc is the command that compiles a sample.
func (f *Family) nvcc(sample samples.Sample) string {
	args := []string{"nvcc", "-O3", "-cudart", "static"}
	if sample.HasKernels() {
		args = append(args, f.targets()...)
	} else {
		args = append(args, "-x", "c++") // once, not for each architecture
	}
	args = append(args,
		"-Xlinker", "-s", // nvcc leaves the number of its process in a symbol
		"-o", OutputDir+"/"+sample.Name, SourceDir+"/"+sample.File)
	if sample.HasHeader() {
		args = append(args, "-I"+headerDir)
	}
	for _, library := range sample.Libraries { // behind what uses them, or some linkers leave them out
		args = append(args, "-l"+library)
	}
	return strings.Join(args, " ")
}

// targets are nvcc's options for machine code for every architecture that the release
// knows, and PTX of the newest for those that come after it.
func (f *Family) targets() []string {
	var args []string
	if compat.Compare(f.Release.CUDA, "8.0") >= 0 { // the first that knows the option
		args = append(args, "-Wno-deprecated-gpu-targets")
	}
	for _, arch := range f.Release.Samples.SASS {
		args = append(args, fmt.Sprintf("-gencode arch=compute_%[1]d,code=sm_%[1]d", arch))
	}
	return append(args, fmt.Sprintf("-gencode arch=compute_%[1]d,code=compute_%[1]d", f.Release.Samples.PTX))
}
