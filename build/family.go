// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// family names the images that share layers: those of one base, for one platform, of one CUDA
// release. They are built by one BuildKit, since on another one all of those layers would have
// to be made again.
func (m *manifest) family() string { return m.baseKey() + " " + m.cell.CUDA }

// choice is a builder that a family may go to.
type choice struct {
	family  string
	builder int
	score   uint64 // the higher, the rather
	of      int    // how many the family has
}

// distribute adds to placed a builder, by its number, for each family that has none and that one
// can build.
//
// Scores are hashes of both names (rendezvous hashing), so that a family goes where it went in
// an earlier run, whatever order the builders have, and when one goes away its families spread
// over the others and next to no other moves. What can go to the fewest is placed first, then
// what has the highest score. Where a builder has its share already, the next choice is taken;
// if all have, shares grow.
func distribute(placed map[string]int, families, builders []string, can func(family string, builder int) bool) {
	load, able := map[int]int{}, 0 // of the builders and families that have a choice
	var choices []choice
	for _, family := range families {
		var its []choice
		for i, name := range builders {
			if can(family, i) {
				load[i] += 0
				its = append(its, choice{family, i, score(family, name), 0})
			}
		}
		able += min(len(its), 1)
		if at, ok := placed[family]; ok {
			load[at]++
			continue
		}
		for i := range its {
			its[i].of = len(its)
		}
		choices = append(choices, its...)
	}
	slices.SortFunc(choices, func(a, b choice) int {
		return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(b.score, a.score), cmp.Compare(a.family, b.family), cmp.Compare(a.builder, b.builder))
	})
	for most := share(able, len(load)); len(choices) > 0; most++ {
		choices = slices.DeleteFunc(choices, func(c choice) bool {
			if _, ok := placed[c.family]; ok {
				return true
			}
			if load[c.builder] >= most {
				return false
			}
			placed[c.family] = c.builder
			load[c.builder]++
			return true
		})
	}
}

// share is how many families a builder gets at most: a quarter more than the mean, or the mean
// where that is no whole family more. Of two families each of two builders gets one.
func share(families, builders int) int {
	if builders == 0 {
		return 0
	}
	return max((families+builders-1)/builders, families*5/(builders*4))
}

func score(family, builder string) uint64 {
	sum := sha256.Sum256([]byte(family + "\n" + builder))
	return binary.BigEndian.Uint64(sum[:])
}
