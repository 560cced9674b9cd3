// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"fmt"
	"maps"
	"path"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/compat"
)

// Lowest is the flavor that stands on the root, and that samples are placed on.
func (r Release) Lowest() Flavor { return r.Flavors()[0] }

// Variables is what the install script of a release's package manager finds in its
// environment when it makes that flavor, EPOCH excepted: that is the builder's.
func (c *Catalog) Variables(o OS, r Release, f Flavor) (map[string]string, error) {
	layer := r.Layers[f]
	values := map[string]string{"PACKAGES": strings.Join(layer.Packages, " ")}
	set := func(name, value string) {
		if value != "" {
			values[name] = value
		}
	}
	set("HOLD", strings.Join(layer.Hold, " "))
	if f != r.Lowest() {
		return values, nil
	}
	set("PREREQUISITES", strings.Join(o.Repository.Prerequisites, " "))
	set("VAULT", o.Vault)
	// Without anything to provide, a release of the distribution itself needs no guard.
	if len(r.Guard.Provides) == 0 && o.Image == "" {
		return values, nil
	}
	guard, err := c.Manager(o).Guard(r)
	set("GUARD", guard)
	return values, err
}

// Place is a shell script that writes the files and links of a layer; "" if it has none.
func (l Layer) Place() string {
	var s strings.Builder
	for _, file := range sortedKeys(l.Files) {
		fmt.Fprintf(&s, "mkdir -p %s\nprintf '%%s' %s >%s\n", quote(path.Dir(file)), quote(l.Files[file]), quote(file))
	}
	for _, link := range sortedKeys(l.Links) {
		fmt.Fprintf(&s, "mkdir -p %s\nln -sfn %s %s\n", quote(path.Dir(link)), quote(l.Links[link]), quote(link))
	}
	if len(l.Files) > 0 { // among them what the linker reads
		s.WriteString("ldconfig\nrm -f /var/cache/ldconfig/aux-cache\n")
	}
	return s.String()
}

// quote is a word of a shell command whose value is the text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Environment is the environment of an image whose highest flavor is f: what the
// runtime hook reads, and what the layers set.
func (r Release) Environment(f Flavor, platform string) map[string]string {
	values := map[string]string{
		"PATH":                       defaultPath,
		"CUDA_VERSION":               r.Version,
		"NVIDIA_VISIBLE_DEVICES":     "all",
		"NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
		"NVIDIA_REQUIRE_CUDA":        r.RequireFor(platform),
	}
	maps.Copy(values, r.On(platform).LayerEnv(f))
	return values
}

// LayerEnv is what the layers up to f set, the higher ones over the lower.
func (r Release) LayerEnv(f Flavor) map[string]string {
	values := map[string]string{}
	for _, flavor := range r.Chain(f) {
		maps.Copy(values, r.Layers[flavor].Env)
	}
	return values
}

// sourceURL is where the recipes of these images are from.
const sourceURL = "https://github.com/cudabuild/cudabuild"

// Labels are those of an image of this release, whose ID that is, wherever it is built.
func (r Release) Labels(id string) map[string]string {
	return map[string]string{
		ocispec.AnnotationTitle:   id,
		ocispec.AnnotationVersion: r.Version,
		ocispec.AnnotationSource:  sourceURL,
	}
}

// Nvcc is the command that compiles a sample: machine code for every architecture that
// the release knows, and PTX of the newest for those that come after it.
func (r Release) Nvcc(source, program string) string {
	args := []string{"nvcc", "-O3", "-cudart", "static"}
	if compat.Compare(r.CUDA, "8.0") >= 0 { // the first that knows the option
		args = append(args, "-Wno-deprecated-gpu-targets")
	}
	for _, arch := range r.Samples.SASS {
		args = append(args, fmt.Sprintf("-gencode arch=compute_%[1]d,code=sm_%[1]d", arch))
	}
	args = append(args, fmt.Sprintf("-gencode arch=compute_%[1]d,code=compute_%[1]d", r.Samples.PTX),
		"-Xlinker", "-s", // nvcc leaves the number of its process in a symbol
		"-o", program, source)
	return strings.Join(args, " ")
}
