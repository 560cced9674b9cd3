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
)

// config is the cell's image configuration: the base's, with the environment that
// the runtime hook reads, labels, command, and one honest history line a layer.
func (m *member) config(root ocispec.Image) ocispec.Image {
	created := time.Unix(m.epoch, 0).UTC()
	config := root
	config.Created = &created
	config.Platform = m.platform
	config.History = append(slices.Clip(config.History), m.history(created)...)
	config.Config = ocispec.ImageConfig{
		Env:    m.env(),
		Cmd:    []string{"bash"},
		Labels: m.labels(created),
	}
	if m.cell.Sample != "" {
		config.Config.Cmd = m.sample.Cmd
	}
	return config
}

// env is the environment of the image, sorted by name.
func (m *member) env() []string {
	values := m.release.Environment(m.top(), platforms.Format(m.platform))
	var env []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	return env
}

func (m *member) labels(created time.Time) map[string]string {
	labels := m.release.Labels(m.cell.ID)
	labels[ocispec.AnnotationCreated] = created.Format(time.RFC3339)
	// The run record lists the roots by this digest.
	labels[ocispec.AnnotationBaseImageDigest] = m.root.String()
	if m.os.Image != "" { // else the root was never pushed, and there is nothing to pull
		labels[ocispec.AnnotationBaseImageName] = m.os.Image
	}
	return labels
}

// history has one line for each layer of this cell, none for the base's.
func (m *member) history(created time.Time) []ocispec.History {
	line := func(format string, args ...any) ocispec.History {
		return ocispec.History{Created: &created, CreatedBy: fmt.Sprintf(format, args...), Comment: "cudabuild"}
	}
	var lines []ocispec.History
	program, _, _ := strings.Cut(m.manager.Name, "-") // apt-nvidia is apt
	for _, flavor := range m.release.Chain(m.top()) {
		packages := strings.Join(m.release.Layers[flavor].Packages, " ")
		if m.steps[flavor]["GUARD"] != "" && program == "apt" {
			packages = "./cudabuild-guard.deb " + packages
		}
		lines = append(lines, line("%s install %s # CUDA %s %s", program, packages, m.release.CUDA, flavor))
	}
	if m.cell.Sample != "" {
		lines = append(lines, line("%s # compiled in %s", m.nvcc(), m.cell.Builder))
	}
	return lines
}
