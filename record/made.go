// SPDX-License-Identifier: Apache-2.0

package record

import (
	"slices"
	"time"
)

// Made is what an image was made of, and by. What nobody has noted is "" or nil: an image that an
// earlier cudabuild left has no Tools.
type Made struct {
	Digest      string `json:"digest"` // of its manifest
	Cell        string `json:"cell"`
	Group       string `json:"group"` // the first of the matrix that has the cell
	OS          string `json:"os"`
	CUDA        string `json:"cuda"`
	Flavor      string `json:"flavor,omitempty"` // "" of a sample
	Sample      string `json:"sample,omitempty"` // "" of a flavor
	Platform    string `json:"platform"`
	Compression string `json:"compression"`
	// Plan is the digest of its steps and of its configuration.
	Plan  string `json:"plan"`
	Parts []Part `json:"parts"` // never nil
	// Tools are versions by the name of a program or package.
	Tools map[string]string `json:"tools,omitempty"`
}

// Kinds of parts.
const (
	MatrixPart     = "matrix"     // the matrix file
	LockPart       = "lock"       // the matrix.lock that the run was held to
	RecipePart     = "recipe"     // a file, by its path in a folder of recipes
	SourcePart     = "source"     // a file of a sample
	RootPart       = "root"       // what the image starts from; its name is where that can be pulled
	ListsPart      = "lists"      // the package lists that steps install from
	RepositoryPart = "repository" // a file that names the rest of a repository by digest, by its address
	KeyPart        = "key"        // a key that a vendor signs with
	CachePart      = "cache"      // a cache in a registry that BuildKit was offered for it, to take steps from in place of running them
)

// Part is one thing that an image was made of.
type Part struct {
	Kind   string    `json:"kind"`
	Name   string    `json:"name,omitempty"`
	Digest string    `json:"digest,omitempty"` // "sha256:...", "" where the date is all that is known
	Date   time.Time `json:"date,omitzero"`
}

// MadeOf says how the image of a cell with that digest was made, or all those of its index. Of an
// older record it knows the cell and the platforms; it is nil if the cell has no such image.
func (c Cell) MadeOf(digest string) (all []Made) {
	for _, image := range c.Images {
		if digest != c.Digest && digest != image.Digest {
			continue
		}
		made := Made{Digest: image.Digest, Cell: c.ID, Platform: image.Platform}
		if i := slices.IndexFunc(c.Made, func(m Made) bool { return m.Digest == image.Digest }); i >= 0 {
			made = c.Made[i]
		}
		all = append(all, made)
	}
	return all
}
