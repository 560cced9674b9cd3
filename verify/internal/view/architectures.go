// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"

	"github.com/cudabuild/cudabuild/compat"
)

// Shared returns the architectures for which all parts with device code have
// machine code, and those for which all have PTX.
func (n *Demand) Shared() (sass, ptx []string) {
	sass, ptx = []string{}, []string{}
	var targets []compat.Target
	for _, p := range n.Parts {
		for _, t := range p.SASS {
			targets = append(targets, compat.Target{SM: t.SM})
		}
		for _, x := range p.PTX {
			targets = append(targets, compat.Target{SM: x.Target.SM})
		}
	}
	slices.SortFunc(targets, compat.CompareTargets)
	for _, t := range slices.Compact(targets) {
		if n.all(func(p compat.Part) bool {
			return slices.ContainsFunc(p.SASS, func(s compat.Target) bool { return s.RunsOn(t) })
		}) {
			sass = append(sass, t.String())
		}
		if n.all(func(p compat.Part) bool {
			return slices.ContainsFunc(p.PTX, func(x compat.PTX) bool { return x.CompilesFor(t) })
		}) {
			ptx = append(ptx, t.Virtual())
		}
	}
	return sass, ptx
}

// all reports whether every part with device code is as has says.
func (n *Demand) all(has func(compat.Part) bool) bool {
	return !slices.ContainsFunc(n.Parts, func(p compat.Part) bool { return len(p.SASS)+len(p.PTX) > 0 && !has(p) })
}
