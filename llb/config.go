// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
)

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

// env is the environment of the image, sorted by name.
func (c *compiler) env() []string {
	values := c.release.Environment(c.top(), platforms.Format(c.platform))
	var env []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	return env
}

// top is the highest flavor that the cell's image holds.
func (c *compiler) top() recipes.Flavor {
	if c.cell.Sample != "" {
		return c.release.Lowest()
	}
	return c.cell.Flavor
}

func (c *compiler) labels(created time.Time) map[string]string {
	labels := c.release.Labels(c.cell.ID)
	labels[ocispec.AnnotationCreated] = created.Format(time.RFC3339)
	// The run record lists the roots by this digest.
	labels[ocispec.AnnotationBaseImageDigest] = c.base.Root.String()
	if c.os.Image != "" { // else the root was never pushed, and there is nothing to pull
		labels[ocispec.AnnotationBaseImageName] = c.os.Image
	}
	return labels
}

// history has one line for each layer of this cell, none for the base's.
func (c *compiler) history(created time.Time) []ocispec.History {
	line := func(format string, args ...any) ocispec.History {
		return ocispec.History{Created: &created, CreatedBy: fmt.Sprintf(format, args...), Comment: "cudabuild"}
	}
	var lines []ocispec.History
	program, _, _ := strings.Cut(c.manager.Name, "-") // apt-nvidia is apt
	for _, flavor := range c.release.Chain(c.top()) {
		packages := strings.Join(c.release.Layers[flavor].Packages, " ")
		if c.steps[flavor]["GUARD"] != "" && program == "apt" {
			packages = "./cudabuild-guard.deb " + packages
		}
		lines = append(lines, line("%s install %s # CUDA %s %s", program, packages, c.release.CUDA, flavor))
	}
	if s, ok := samples.Lookup(c.cell.Sample); ok {
		lines = append(lines, line("%s # compiled in %s", c.nvcc(s), c.cell.Builder))
	}
	return lines
}
