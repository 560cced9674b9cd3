// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"fmt"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

// sourceURL is where this image's recipe is from.
const sourceURL = "https://github.com/cudabuild/cudabuild"

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// config is the cell's image configuration: the base's, with the environment that
// the runtime hook reads, labels, command, and one honest history line a layer.
func (c *compiler) config() ocispec.Image {
	created := time.Unix(c.base.Epoch, 0).UTC()
	config := c.base.Config
	config.Created = &created
	config.Platform = c.platform
	config.History = append(slices.Clip(config.History), c.history(created)...)
	config.Config = ocispec.ImageConfig{
		Env:    c.env(),
		Cmd:    []string{"bash"},
		Labels: c.labels(created),
	}
	if s, ok := samples.Lookup(c.cell.Sample); ok {
		config.Config.Cmd = s.Cmd
	}
	return config
}

// env is the environment of every flavor up to the cell's, sorted by name.
func (c *compiler) env() []string {
	values := map[string]string{
		"PATH":                       defaultPath,
		"CUDA_VERSION":               c.release.Version,
		"NVIDIA_VISIBLE_DEVICES":     "all",
		"NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
		"NVIDIA_REQUIRE_CUDA":        compat.RequireCUDA(c.release.CUDA),
	}
	for _, flavor := range c.flavors() {
		for name, value := range c.release.Layers[flavor].Env {
			values[name] = value
		}
	}
	var env []string
	for name, value := range values {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// flavors are the flavors that the cell's image holds, lowest first.
func (c *compiler) flavors() []recipes.Flavor {
	all := recipes.Flavors()
	top := max(0, slices.Index(all, c.cell.Flavor)) // a sample sits on base
	return all[:top+1]
}

func (c *compiler) labels(created time.Time) map[string]string {
	return map[string]string{
		ocispec.AnnotationTitle:   c.cell.ID,
		ocispec.AnnotationVersion: c.release.Version,
		ocispec.AnnotationSource:  sourceURL,
		ocispec.AnnotationCreated: created.Format(time.RFC3339),
		// No base.name: that is a reference to pull from (image-spec, annotations), and the
		// root was never pushed. The run record lists the roots by this digest.
		ocispec.AnnotationBaseImageDigest: c.base.Root.String(),
	}
}

// history has one line for each layer of this cell, none for the base's.
func (c *compiler) history(created time.Time) []ocispec.History {
	line := func(format string, args ...any) ocispec.History {
		return ocispec.History{Created: &created, CreatedBy: fmt.Sprintf(format, args...), Comment: "cudabuild"}
	}
	var lines []ocispec.History
	for _, flavor := range c.flavors() {
		packages := strings.Join(c.release.Layers[flavor].Packages, " ")
		if flavor == recipes.Base && c.guard != "" {
			packages = "./cudabuild-guard.deb " + packages
		}
		lines = append(lines, line("%s install %s # CUDA %s %s", c.manager.Name, packages, c.release.CUDA, flavor))
	}
	if s, ok := samples.Lookup(c.cell.Sample); ok {
		lines = append(lines, line("%s # compiled in %s", c.nvcc(s), c.cell.Builder))
	}
	return lines
}
