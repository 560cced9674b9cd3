// SPDX-License-Identifier: Apache-2.0

package place

import (
	"slices"
	"strconv"

	"github.com/cudabuild/cudabuild/compat"
)

// NodeAffinity is Kubernetes' type of that name, as far as it is needed here.
type NodeAffinity struct {
	Required NodeSelector `json:"requiredDuringSchedulingIgnoredDuringExecution"`
}

// NodeSelector selects a node for which one of its terms holds.
type NodeSelector struct {
	Terms []Term `json:"nodeSelectorTerms"`
}

// Term holds if all its expressions do.
type Term struct {
	Expressions []Expression `json:"matchExpressions"`
}

// Expression compares one label. Gt and Lt read it as an integer, "02" as 2.
type Expression struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"` // In, NotIn, Gt, Lt or DoesNotExist
	Values   []string `json:"values,omitempty"`
}

// Affinity selects the nodes whose GPU and driver are in one of the regions, by the labels of GPU
// feature discovery: those of its newest releases and those that older ones have alone. Of no region
// there is no term, which Kubernetes refuses.
//
// There is no label for a GPU's brand. Where that matters, the boards of other brands that
// package compat knows are left out by the names of their products.
func Affinity(regions []compat.Region) NodeAffinity {
	var a NodeAffinity
	for _, g := range grouped(regions) {
		gpus := g.gpus()
		for _, version := range versionKeys {
			for _, driver := range g.drivers(version) {
				for _, gpu := range gpus {
					a.Required.Terms = append(a.Required.Terms, Term{slices.Concat(gpu, driver)})
				}
			}
		}
	}
	return a
}

// group is regions of the same GPUs and brands.
type group struct {
	compat.Region
	spans [][]span
}

func grouped(regions []compat.Region) (groups []group) {
	for _, r := range regions {
		i := slices.IndexFunc(groups, func(g group) bool { return slices.Equal(g.GPUs, r.GPUs) && slices.Equal(g.Brands, r.Brands) })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{Region: r})
		}
		groups[i].spans = append(groups[i].spans, spans(r)...)
	}
	return groups
}

// gpus are the expressions about the GPU: majors with the same minors stand together.
func (g group) gpus() (all [][]Expression) {
	minors := map[int][]string{}
	var majors []int
	for _, gpu := range g.GPUs {
		major := gpu.SM / 10
		if minors[major] == nil {
			majors = append(majors, major)
		}
		minors[major] = append(minors[major], strconv.Itoa(gpu.SM%10))
	}
	for len(majors) > 0 {
		with := minors[majors[0]]
		var together []string
		majors = slices.DeleteFunc(majors, func(major int) bool {
			same := slices.Equal(minors[major], with)
			if same {
				together = append(together, strconv.Itoa(major))
			}
			return same
		})
		e := []Expression{{gpuMajor, "In", together}, {gpuMinor, "In", with}}
		if wrong := g.productsBut(together, with); wrong != nil {
			e = append(e, Expression{gpuProduct, "NotIn", wrong})
		}
		all = append(all, e)
	}
	return all
}

// drivers are the expressions about the driver. Whole branches stand together.
func (g group) drivers(keys [3]string) (all [][]Expression) {
	var branches []string
	for _, s := range g.spans {
		if s[0].single() && s[1].any() && s[2].any() {
			branches = append(branches, strconv.Itoa(s[0].from))
			continue
		}
		common := append(s[0].expressions(keys[0]), s[1].expressions(keys[1])...)
		for _, last := range revisions(keys[2], s[2]) {
			all = append(all, slices.Concat(common, last))
		}
	}
	if branches != nil {
		all = append(all, []Expression{{keys[0], "In", branches}})
	}
	return all
}

// revisions are alternatives, because a driver of two numbers is one of revision 0: its label is
// empty, and of some tools not there.
func revisions(key string, s span) [][]Expression {
	all := [][]Expression{s.expressions(key)}
	if !s.any() && s.from == 0 {
		all = append(all, []Expression{{key, "In", []string{""}}}, []Expression{{Key: key, Operator: "DoesNotExist"}})
	}
	return all
}

func (s span) expressions(key string) (all []Expression) {
	if s.single() {
		values := []string{strconv.Itoa(s.from)}
		if s.from < 10 && key != versionKeys[0][0] && key != versionKeys[1][0] {
			values = append(values, "0"+values[0])
		}
		return []Expression{{key, "In", values}}
	}
	if s.from > 0 {
		all = append(all, Expression{key, "Gt", []string{strconv.Itoa(s.from - 1)}})
	}
	if s.below > 0 {
		all = append(all, Expression{key, "Lt", []string{strconv.Itoa(s.below)}})
	}
	return all
}
