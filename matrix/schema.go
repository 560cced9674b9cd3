// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"strings"

	"github.com/cudabuild/cudabuild/internal/schema"
	"github.com/cudabuild/cudabuild/recipes"
)

// Schema returns the JSON Schema of matrix.yaml for editors, with the words of the
// catalog. It sees less than [Parse]: not that a pair was never packaged, a group is
// not there, or two images claim a tag.
func Schema(catalog *recipes.Catalog) *schema.Schema {
	names := namesOf(catalog)
	flavors := make([]string, len(names.flavors))
	for i, f := range names.flavors {
		flavors[i] = string(f)
	}
	lists := func() map[string]*schema.Schema {
		return map[string]*schema.Schema{
			"platforms": described("Platforms of each image.", some(globOr(names.platforms))),
			"flavors":   described("Layers to make images of; none makes samples alone.", list(globOr(flavors))),
			"samples":   described("Sample programs, each an image on base.", list(globOr(names.samples))),
		}
	}
	entry := object(lists(), "os", "cuda")
	entry.Properties["os"] = described("Operating systems.", some(globOr(names.os)))
	entry.Properties["cuda"] = described("CUDA releases, quoted: YAML reads 12.10 as the number 12.1.", some(globOr(names.cuda)))
	entry.Properties["exclude"] = described("Pairs of the two lists that are not wanted, or do not exist.", list(object(map[string]*schema.Schema{
		"os":     oneOf(names.os),
		"cuda":   oneOf(names.cuda),
		"reason": {Type: "string", MinLength: 1, Description: "Why, for whoever wonders later."},
	}, "os", "cuda", "reason")))

	glob := func() *schema.Schema { return text("Glob on cell IDs: *, ?, [a-z].") }
	top := object(map[string]*schema.Schema{
		"version":  {Const: 1, Description: "Version of the format."},
		"image":    {Type: "string", Pattern: repository.String(), MaxLength: maxImage, Description: "Repository of every tag: cuda, ghcr.io/acme/cuda, registry:5000/acme/cuda."},
		"compat":   described("Whether images may ship cuda-compat; forbid is the default.", oneOf(compatWords)),
		"defaults": described("What holds where an entry does not say otherwise.", object(lists())),
		"groups": {
			Type: "object", MinProperties: 1, PropertyNames: &schema.Schema{Pattern: groupName.String()},
			Description: "Named lists of what to make; --group picks one.",
			Additional: some(&schema.Schema{AnyOf: []*schema.Schema{
				described("Every pair of os and cuda, less those under exclude.", entry), text("Another group, all of it."),
			}}),
		},
		"tags": {
			Type: "object", PropertyNames: &schema.Schema{Pattern: tagPattern()},
			Description: "Other names of images, with {cuda}, {version}, {kind}, {os}, {yy} and {mm} filled in: the cells that have them.",
			Additional:  &schema.Schema{AnyOf: []*schema.Schema{glob(), some(glob())}},
		},
	}, "version", "image", "groups")
	return top.Document("cudabuild matrix", "matrix.yaml: which CUDA images are wanted.")
}

// tagPattern is tagForm with placeholders.
func tagPattern() string {
	words := strings.NewReplacer("{", "", "}", "").Replace(strings.Join(placeholders, "|"))
	return `^([a-zA-Z0-9_]|\{(` + words + `)\})([a-zA-Z0-9._-]|\{(` + words + `)\})*$`
}

func object(properties map[string]*schema.Schema, required ...string) *schema.Schema {
	return &schema.Schema{Type: "object", Properties: properties, Required: required, Additional: false}
}

// list is one of different values.
func list(items *schema.Schema) *schema.Schema {
	return &schema.Schema{Type: "array", Items: items, UniqueItems: true}
}

func some(items *schema.Schema) *schema.Schema {
	s := list(items)
	s.MinItems = 1
	return s
}

func oneOf(words []string) *schema.Schema { return &schema.Schema{Type: "string", Enum: words} }

// globOr is one of some words, or a glob over them.
func globOr(words []string) *schema.Schema {
	return &schema.Schema{AnyOf: []*schema.Schema{oneOf(words), {Type: "string", Pattern: `[*?\[]`, Description: "Glob: *, ?, [a-z]."}}}
}

func text(description string) *schema.Schema {
	return &schema.Schema{Type: "string", Description: description}
}

func described(description string, s *schema.Schema) *schema.Schema {
	s.Description = description
	return s
}
