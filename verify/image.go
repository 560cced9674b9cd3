// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/view"
)

// inspected is what manifest and config say about an image.
type inspected struct {
	digest       string
	configDigest string
	platform     string
	config       *v1.ConfigFile
	layers       []layerRef
}

// layerRef is one layer as the manifest and the config name it.
type layerRef struct {
	layer.Ref
	diffID    string
	createdBy string
	mediaType types.MediaType
}

// name is layer i as a report has it, nil for no layer.
func (in inspected) name(i int) *Layer {
	if i == view.OfImage {
		return nil
	}
	r := in.layers[i]
	return &Layer{Index: i, Digest: r.Digest, DiffID: r.diffID, CreatedBy: r.createdBy}
}

func (in inspected) refs() (refs []layer.Ref) {
	for _, r := range in.layers {
		refs = append(refs, r.Ref)
	}
	return refs
}

// maxLayers limits what a manifest may claim. No runtime stacks more than 500 layers.
const maxLayers = 1000

func inspect(img v1.Image) (inspected, error) {
	digest, err := img.Digest()
	if err != nil {
		return inspected{}, fmt.Errorf("manifest: %w", err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		return inspected{}, fmt.Errorf("manifest: %w", err)
	}
	if err := plausible(manifest); err != nil {
		return inspected{}, fmt.Errorf("manifest: %w", err)
	}
	config, err := image.Config(img)
	if err != nil {
		return inspected{}, err
	}
	in := inspected{digest: digest.String(), configDigest: manifest.Config.Digest.String(), platform: platform(config), config: config}
	if n := len(config.RootFS.DiffIDs); n != len(manifest.Layers) {
		return in, fmt.Errorf("the manifest names %d layers, the config %d", len(manifest.Layers), n)
	}
	layers, err := img.Layers()
	if err == nil && len(layers) != len(manifest.Layers) {
		err = fmt.Errorf("the manifest names %d layers, and there are %d", len(manifest.Layers), len(layers))
	}
	if err != nil {
		return in, err
	}
	createdBy := history(config)
	for i, desc := range manifest.Layers {
		ref := layerRef{
			Ref:    layer.Ref{Digest: desc.Digest.String(), Size: desc.Size, Foreign: len(desc.URLs) > 0, Layer: layers[i]},
			diffID: config.RootFS.DiffIDs[i].String(), mediaType: desc.MediaType,
		}
		if i < len(createdBy) {
			ref.createdBy = createdBy[i]
		}
		in.layers = append(in.layers, ref)
	}
	return in, nil
}

// plausible reports what is no image, or too much, before anything is read of it.
func plausible(m *v1.Manifest) error {
	switch {
	case !m.Config.MediaType.IsConfig() && m.Config.MediaType != "" && m.Config.MediaType != "application/octet-stream": // the latter by docker 1.10
		return fmt.Errorf("not a container image: its config is of type %q", m.Config.MediaType)
	case len(m.Layers) > maxLayers:
		return fmt.Errorf("%d layers, more than %d", len(m.Layers), maxLayers)
	}
	return nil
}

func platform(c *v1.ConfigFile) string {
	parts := []string{cmp.Or(c.OS, "unknown"), cmp.Or(c.Architecture, "unknown")}
	if c.Variant != "" {
		parts = append(parts, c.Variant)
	}
	return strings.Join(parts, "/")
}

// history returns what made each layer: entries that made none are skipped.
func history(c *v1.ConfigFile) []string {
	var createdBy []string
	for _, h := range c.History {
		if !h.EmptyLayer {
			createdBy = append(createdBy, shortLine(h.CreatedBy))
		}
	}
	return createdBy
}

// maxCreatedBy bounds what is shown of the line that made a layer: every finding has it.
const maxCreatedBy = 4 << 10

func shortLine(line string) string {
	if len(line) > maxCreatedBy {
		return strings.ToValidUTF8(line[:maxCreatedBy], "") + "..."
	}
	return line
}
