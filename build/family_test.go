// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func anywhere(string, int) bool { return true }

// names are n names of that kind.
func names(kind string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s %d", kind, i))
	}
	return all
}

// placedBy are the names of the builders that families go to.
func placedBy(families, builders []string, can func(string, int) bool) map[string]string {
	placed, named := map[string]int{}, map[string]string{}
	distribute(placed, families, builders, can)
	for family, i := range placed {
		named[family] = builders[i]
	}
	return named
}

// loads are how many families each builder has, the fewest first.
func loads(placed map[string]string, builders []string) []int {
	load := map[string]int{}
	for _, b := range builders {
		load[b] = 0
	}
	for _, b := range placed {
		load[b]++
	}
	return slices.Sorted(maps.Values(load))
}

// TestBound: no builder gets many more than others, and none of few stays idle.
func TestBound(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ families, builders, most int }{
		{1, 1, 1}, {2, 1, 2}, {1, 3, 1}, {2, 2, 1}, {3, 2, 2}, {4, 2, 2}, {5, 2, 3}, {8, 2, 5}, {161, 4, 50}, {406, 7, 72},
	} {
		families, builders := names("family", test.families), names("tcp://builder", test.builders)
		placed := placedBy(families, builders, anywhere)
		if all := loads(placed, builders); len(placed) != test.families || all[len(all)-1] > test.most {
			t.Errorf("%d families on %d builders: %d placed, loads %v, want at most %d each", test.families, test.builders, len(placed), all, test.most)
		}
	}
}

// TestSticky: the order of families and builders changes nothing.
func TestSticky(t *testing.T) {
	t.Parallel()
	families, builders := names("family", 161), names("tcp://builder", 4)
	want := placedBy(families, builders, anywhere)
	slices.Reverse(families)
	slices.Reverse(builders)
	if diff := cmp.Diff(want, placedBy(families, builders, anywhere)); diff != "" {
		t.Errorf("families are elsewhere (-one order +the other):\n%s", diff)
	}
}

// TestOneLess: without one of the builders, its families go to the others; few of the rest
// move, which the bound alone makes.
func TestOneLess(t *testing.T) {
	t.Parallel()
	families, builders := names("family", 161), names("tcp://builder", 4)
	before := placedBy(families, builders, anywhere)
	for i, gone := range builders {
		left := slices.Delete(slices.Clone(builders), i, i+1)
		after := placedBy(families, left, anywhere)
		moved := 0
		for family, b := range before {
			if b != gone && after[family] != b {
				moved++
			}
		}
		if moved > 8 {
			t.Errorf("without %s %d families of other builders moved", gone, moved)
		}
	}
}

// TestLostInTheMiddle: what is placed stays, and the rest goes to those that can take it.
func TestLostInTheMiddle(t *testing.T) {
	t.Parallel()
	families, builders := names("family", 20), names("tcp://builder", 3)
	placed := map[string]int{}
	distribute(placed, families, builders, anywhere)
	before := maps.Clone(placed)
	maps.DeleteFunc(placed, func(_ string, at int) bool { return at == 1 })
	distribute(placed, families, builders, func(_ string, at int) bool { return at != 1 })
	for family, at := range placed {
		if was := before[family]; at == 1 || was != 1 && was != at {
			t.Errorf("%s was on %d and is on %d", family, was, at)
		}
	}
	if len(placed) != 20 {
		t.Errorf("%d of 20 families are placed", len(placed))
	}
}

// TestFewChoices: a family that can go to one builder alone gets it, before others fill it, and
// one that can go to none counts for nothing.
func TestFewChoices(t *testing.T) {
	t.Parallel()
	builders := names("tcp://builder", 2)
	for _, family := range names("family", 20) { // whatever the hashes say
		can := func(f string, at int) bool { return f == family || f == "arm64" && at == 1 }
		want := map[string]string{family: builders[0], "arm64": builders[1]}
		if diff := cmp.Diff(want, placedBy([]string{family, "arm64", "nowhere"}, builders, can)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", family, diff)
		}
	}
}

// TestBeyondTheShare: what only one builder can take is not held back.
func TestBeyondTheShare(t *testing.T) {
	t.Parallel()
	builders := names("tcp://builder", 2)
	placed := placedBy(names("family", 9), builders, func(f string, at int) bool { return at == 0 || f == "family 0" })
	if diff := cmp.Diff([]int{1, 8}, loads(placed, builders)); diff != "" {
		t.Errorf("loads (-want +got):\n%s", diff)
	}
}
