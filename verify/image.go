// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
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
	digest    string
	diffID    string
	createdBy string
	size      int64
	mediaType types.MediaType
	foreign   bool // its content lies at URLs outside the registry
	layer     v1.Layer
	copy      image.Copy // where its bytes lie
}

func (r layerRef) name(i int) *Layer {
	return &Layer{Index: i, Digest: r.digest, DiffID: r.diffID, CreatedBy: r.createdBy}
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
		ref := layerRef{digest: desc.Digest.String(), diffID: config.RootFS.DiffIDs[i].String(), size: desc.Size, mediaType: desc.MediaType, foreign: len(desc.URLs) > 0, layer: layers[i]}
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

// strange is a finding about an image that is not for Linux: no rule knows its files. One
// that does not say what it is for is taken to be.
func (in inspected) strange() []Finding {
	if in.config.OS == "" || in.config.OS == "linux" {
		return nil
	}
	return []Finding{aboutImage(ruleUnreadable, "an image for %s: only Linux images can be judged", in.platform)}
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

// maxFindings bounds those of one image that are listed: as many again may deny it.
const maxFindings = 10_000

// assemble puts the layers together and returns the findings, those of the merged
// view among them, sorted, never nil.
func assemble(in inspected, layers *view, merged [][]hit) []Finding {
	findings, dropped := []Finding{}, 0
	for i, facts := range layers.facts {
		ref := in.layers[i]
		layer := ref.name(i)
		add := func(h hit, deletedIn *int) {
			severity := rules.Load().Severity(h.Rule)
			if n := len(findings); n >= 2*maxFindings || n >= maxFindings && severity != SeverityFail {
				dropped++
				return
			}
			findings = append(findings, Finding{
				Rule: h.Rule, Severity: severity, Path: h.Path,
				Layer: layer, Detail: h.Detail, DeletedIn: deletedIn,
			})
		}
		if facts.DiffID != "" && facts.DiffID != ref.diffID {
			add(hit{Rule: ruleUnreadable, Detail: fmt.Sprintf("content has digest %s, the config says %s", facts.DiffID, ref.diffID)}, nil)
		}
		if facts.complete() && !ref.foreign && facts.Size != ref.size {
			add(hit{Rule: ruleUnreadable, Detail: fmt.Sprintf("the blob has %d bytes, the manifest says %d", facts.Size, ref.size)}, nil)
		}
		if h, ok := odd(ref.mediaType, facts.Encoding); ok && !ref.foreign {
			add(h, nil)
		}
		place := layers.placer(i)
		for _, h := range slices.Concat(facts.Hits, layers.linkHits(i), layers.hardHits(i), layers.strays().unread[i], merged[i]) {
			add(place(h), layers.deletedIn(i, h.Path))
		}
		hits, gone := layers.packageHits(i)
		for k, h := range hits {
			add(h, gone[k])
		}
	}
	if dropped > 0 {
		findings = append(findings, Finding{Rule: ruleUnreadable, Severity: rules.Load().Severity(ruleUnreadable), Layer: in.layers[len(in.layers)-1].name(len(in.layers) - 1), Detail: fmt.Sprintf("%d more findings are not listed", dropped)})
	}
	slices.SortStableFunc(findings, compareFindings)
	return slices.CompactFunc(findings, func(a, b Finding) bool { return compareFindings(a, b) == 0 && a.Detail == b.Detail })
}

func compareFindings(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Layer.Index, b.Layer.Index), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Detail, b.Detail))
}

// linkHits returns the findings about symbolic links of layer i.
func (v *view) linkHits(i int) []hit {
	var hits []hit
	for _, l := range v.facts[i].Links {
		if h, ok := v.hitFor(i, l); ok {
			hits = append(hits, h)
		}
	}
	return hits
}
