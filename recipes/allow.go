// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// WithCompat returns the release with cuda-compat in its lowest layer, and with the
// requirement of images that have it: NVIDIA's own, which admits older drivers. It
// returns the release as it is if there is no cuda-compat for it.
func (r Release) WithCompat() Release {
	if r.compat == nil {
		return r
	}
	r.Layers = maps.Clone(r.Layers)
	r.add(r.Flavors()[0], *r.compat)
	r.require = map[string]string{}
	for platform, alternatives := range r.admits {
		r.require[platform] = strings.Join(append([]string{"cuda>=" + minor(r.CUDA)}, alternatives...), " ")
	}
	return r
}

// admits returns the alternatives to cuda>=X.Y that the vendor's images state, by
// platform, in the vendor's order.
func (r *renderer) admits(platforms []string) map[string][]string {
	all := map[string][]string{}
	for _, platform := range platforms {
		all[platform] = nil
		for _, word := range r.toolkit.admits(platform, r.os.Name) {
			alternatives, _ := r.source.alternatives(word) // checked with the toolkit
			all[platform] = append(all[platform], alternatives...)
		}
	}
	return all
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
	if !listed && m[1] != strings.ToLower(m[1]) {
		return nil, fmt.Errorf("%q: no list of brands is named %s", word, m[1])
	}
	if !listed {
		brands = []string{m[1]}
	}
	var branch int
	_, _ = fmt.Sscan(m[2], &branch)
	all := make([]string, len(brands))
	for i, brand := range brands {
		all[i] = fmt.Sprintf("brand=%s,driver>=%d,driver<%d", brand, branch, branch+1)
	}
	return all, nil
}
