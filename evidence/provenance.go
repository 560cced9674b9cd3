// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/record"
)

// provenance is SLSA's, version 1.
// Source: https://slsa.dev/spec/v1.0/provenance.
type provenance struct {
	silent

	Definition definition `json:"buildDefinition"`
	Run        struct {
		Builder builder `json:"builder"`
	} `json:"runDetails"`
}

func (p provenance) ours() error { return mark("buildType", p.Definition.Type, page+"#provenance") }

type definition struct {
	Type     string       `json:"buildType"`
	External external     `json:"externalParameters"`
	Internal internal     `json:"internalParameters,omitzero"`
	Resolved []dependency `json:"resolvedDependencies"`
}

// external is what somebody has chosen: the file with its choices is a dependency.
type external struct {
	Group       string   `json:"group,omitempty"`
	Cell        string   `json:"cell"`
	OS          string   `json:"os,omitempty"`
	CUDA        string   `json:"cuda,omitempty"`
	Flavor      string   `json:"flavor,omitempty"`
	Sample      string   `json:"sample,omitempty"`
	Platforms   []string `json:"platforms"`
	Compression string   `json:"compression,omitempty"`
}

// internal has the digest of the steps and of the configuration, by platform.
type internal struct {
	Plans map[string]string `json:"plans,omitempty"`
}

func (i *internal) add(image record.Made) {
	if i.Plans == nil {
		i.Plans = map[string]string{}
	}
	i.Plans[image.Platform] = image.Plan
}

// dependency is a resource with what the specification leaves to annotations.
type dependency struct {
	resource

	Annotations annotations `json:"annotations"`
}

type annotations struct {
	Kind     string    `json:"kind"`
	Platform string    `json:"platform,omitempty"` // of a part that is not of all platforms
	Date     time.Time `json:"date,omitzero"`
}

// builder is whoever runs cudabuild; that is known by the key alone.
type builder struct {
	ID string `json:"id"`
	// Version has the versions of tools. One that is not the same for all platforms has the
	// platform in its name.
	Version map[string]string `json:"version,omitempty"`
}

// NewProvenance says how an image was built, or all those of an index, in its order.
func NewProvenance(s Subject, created time.Time, images ...record.Made) (Document, error) {
	if len(images) == 0 {
		return Document{}, errors.New("provenance: nothing is known of how it was built")
	}
	first := images[0]
	p := provenance{Definition: definition{
		Type: page + "#provenance",
		External: external{
			Group: first.Group, Cell: first.Cell, OS: first.OS, CUDA: first.CUDA, Flavor: first.Flavor, Sample: first.Sample, Compression: first.Compression,
		},
		Resolved: dependencies(images),
	}}
	p.Run.Builder = builder{page + "#provenance", tools(images)}
	for _, image := range images {
		if image.Cell != first.Cell {
			return Document{}, fmt.Errorf("provenance: images of %s and %s", first.Cell, image.Cell)
		}
		p.Definition.External.Platforms = append(p.Definition.External.Platforms, image.Platform)
		if image.Plan != "" {
			p.Definition.Internal.add(image)
		}
	}
	return newDocument(Provenance, s, created, p)
}

// dependencies are the parts of images, those of all of them once, by kind and name.
func dependencies(images []record.Made) []dependency {
	on := map[record.Part][]string{}
	for _, image := range images {
		for _, part := range image.Parts {
			part.Date = part.Date.UTC()
			on[part] = append(on[part], image.Platform)
		}
	}
	all := []dependency{}
	for part, platforms := range on {
		d := dependency{resource{Name: part.Name, Digest: digests(part.Digest)}, annotations{Kind: part.Kind, Date: part.Date}}
		if strings.Contains(part.Name, "://") {
			d.Name, d.URI = "", part.Name
		}
		if len(platforms) < len(images) {
			d.Annotations.Platform = strings.Join(platforms, " ")
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b dependency) int {
		return cmp.Or(cmp.Compare(a.Annotations.Kind, b.Annotations.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.URI, b.URI),
			cmp.Compare(a.Digest["sha256"], b.Digest["sha256"]), a.Annotations.Date.Compare(b.Annotations.Date))
	})
	return all
}

// tools are the versions of tools.
func tools(images []record.Made) map[string]string {
	versions := map[string]string{}
	for _, image := range images {
		for name, version := range image.Tools {
			same := !slices.ContainsFunc(images, func(other record.Made) bool { return other.Tools[name] != version })
			if !same {
				name += " " + image.Platform
			}
			versions[name] = version
		}
	}
	return versions
}
