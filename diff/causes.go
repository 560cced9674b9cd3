// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"cmp"
	"slices"
)

// causes collects distinct causes. Indexes into it stand in images until [causes.sort].
type causes struct {
	all []Cause
	at  map[Cause]int
}

// of returns the index of a cause.
func (c *causes) of(kind Kind, what, place string) int {
	key := Cause{Kind: kind, What: what, Place: place}
	i, known := c.at[key]
	if !known {
		if c.at == nil {
			c.at = map[Cause]int{}
		}
		i = len(c.all)
		c.at[key] = i
		c.all = append(c.all, key)
	}
	return i
}

// finish counts what each cause explains, and puts those of most changes first, in the images too.
func (r *Result) finish(all []Cause) {
	for i := range r.Images {
		counts := map[int]int{}
		r.Images[i].each(func(cause *int) { counts[*cause]++ })
		for _, c := range r.Images[i].Causes { // of an image that could not be read
			counts[c] = max(counts[c], 1)
		}
		r.Images[i].Causes = []int{}
		for c, n := range counts {
			all[c].Changes += n
			r.Images[i].Causes = append(r.Images[i].Causes, c)
		}
		slices.SortFunc(r.Images[i].Causes, func(a, b int) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	}
	order := make([]int, 0, len(all))
	for i, c := range all {
		if c.Changes > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[b].Changes, all[a].Changes) })
	moved := map[int]int{}
	r.Causes = []Cause{}
	for to, from := range order {
		moved[from] = to
		r.Causes = append(r.Causes, all[from])
	}
	for i := range r.Images {
		r.Images[i].each(func(cause *int) { *cause = moved[*cause] })
		for k, c := range r.Images[i].Causes {
			r.Images[i].Causes[k] = moved[c]
		}
	}
}

// each calls use with the cause of every change.
func (i *Image) each(use func(*int)) {
	for k := range i.Packages {
		use(&i.Packages[k].Cause)
	}
	for k := range i.Files {
		use(&i.Files[k].Cause)
	}
	for k := range i.Config {
		use(&i.Config[k].Cause)
	}
}
