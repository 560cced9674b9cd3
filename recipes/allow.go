// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// WithCompat returns the release with cuda-compat in its lowest layer, and with the
// requirement of images that have it: NVIDIA's own, which admits older drivers. It
// returns the release as it is if there is no cuda-compat for it.
func (r Release) WithCompat() Release {
	if r.compat == nil {
		return r
	}
	r.Layers, r.on = maps.Clone(r.Layers), maps.Clone(r.on)
	for platform, other := range r.on {
		r.on[platform] = other.WithCompat()
	}
	r.add(r.Flavors()[0], r.compat.rendered)
	r.require = map[string]string{}
	for _, platform := range r.Platforms {
		r.require[platform] = r.compat.requirement(r.CUDA, platform, r.OS)
	}
	return r
}

// HasCompat reports whether there is a cuda-compat for the release.
func (r Release) HasCompat() bool { return r.compat != nil }

// forward is what a release is like with cuda-compat.
type forward struct {
	rendered

	toolkit toolkitFile
	source  Source
}

// requirement is NVIDIA_REQUIRE_CUDA as the vendor's images have it: the release, or one
// of some brands on one of some older driver branches, in the vendor's order.
func (f forward) requirement(cuda, platform, os string) string {
	terms := []string{"cuda>=" + minor(cuda)}
	for _, word := range f.toolkit.admits(platform, os) {
		alternatives, _ := f.source.alternatives(word) // checked with the toolkit
		terms = append(terms, alternatives...)
	}
	return strings.Join(terms, " ")
}

// branchForm is a brand, or the name of a list of brands, and a driver branch.
var branchForm = regexp.MustCompile(`^([A-Za-z]+)@([1-9][0-9]{2})$`)

// alternatives returns what a word such as "tesla@418" or "A@535" stands for.
func (s Source) alternatives(word string) ([]string, error) {
	m := branchForm.FindStringSubmatch(word)
	if m == nil {
		return nil, fmt.Errorf("%q: want a brand or a list of brands, @ and a driver branch: tesla@418", word)
	}
	brands, listed := s.Brands[m[1]]
	switch {
	case listed:
	case m[1] != strings.ToLower(m[1]):
		return nil, fmt.Errorf("%q: no list of brands is named %s", word, m[1])
	case !slices.Contains(slices.Concat(slices.Collect(maps.Values(s.Brands))...), m[1]):
		return nil, fmt.Errorf("%q: no list of brands has %s", word, m[1])
	default:
		brands = []string{m[1]}
	}
	branch := compat.Major(m[2])
	all := make([]string, len(brands))
	for i, brand := range brands {
		all[i] = fmt.Sprintf("brand=%s,driver>=%d,driver<%d", brand, branch, branch+1)
	}
	return all, nil
}
