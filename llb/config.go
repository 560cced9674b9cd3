// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"maps"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/plan"
)

// config is the image configuration of the plan on a root: its environment, labels,
// command, and one honest history line a layer.
func (f *family) config(img *plan.Image, root ocispec.Image) ocispec.Image {
	created := time.Unix(f.epoch, 0).UTC()
	config := root
	config.Created = &created
	config.Platform = f.platform
	config.History = slices.Clip(config.History)
	for _, step := range img.Layers() {
		config.History = append(config.History, ocispec.History{Created: &created, CreatedBy: step.History, Comment: "cudabuild"})
	}
	config.Config = ocispec.ImageConfig{Cmd: img.Cmd, Labels: f.labels(img, created)}
	for _, name := range slices.Sorted(maps.Keys(img.Env)) {
		config.Config.Env = append(config.Config.Env, name+"="+img.Env[name])
	}
	return config
}

// labels are the plan's, and what it can't know.
func (f *family) labels(img *plan.Image, created time.Time) map[string]string {
	labels := maps.Clone(img.Labels)
	labels[ocispec.AnnotationCreated] = created.Format(time.RFC3339)
	// The run record lists the roots by this digest.
	labels[ocispec.AnnotationBaseImageDigest] = f.root.String()
	if f.OS.Image != "" { // else the root was never pushed, and there is nothing to pull
		labels[ocispec.AnnotationBaseImageName] = f.OS.Image
	}
	return labels
}
