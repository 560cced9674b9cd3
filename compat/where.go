// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Region is GPUs and drivers on which an image runs.
type Region struct {
	// GPUs are sorted and never empty.
	GPUs []Target `json:"gpus"`
	// From is the oldest driver, Below the oldest one that is too new; "" is no bound.
	From  string `json:"from"`
	Below string `json:"below"`
	// Brands are those on which it runs, of [Brands], sorted; nil means that it runs on all.
	Brands []string `json:"brands,omitempty"`
}

// Where returns all known GPUs and drivers on which [Predict] says that an image with these
// needs runs, whatever the directory in which a host keeps its libraries. No two regions have a
// host in common. Drivers are taken to have at most three numbers, as NVIDIA's do. Of Tegra
// parts and of GPUs that are not in the tables nothing is known, so they are in no region.
func Where(n Needs, hook Hook) []Region {
	drivers, kinds, silent := n.turns(), n.kinds(), n
	silent.Require = nil
	var regions []Region
	for _, a := range architectures {
		if a.tegra {
			continue
		}
		h := Host{GPU: Target{SM: a.sm}, Hook: hook}
		var open Region // that of the drivers so far
		for _, driver := range a.drivers(drivers) {
			h.Driver = driver
			brands, some := n.brandsOn(silent, kinds, h)
			if some == (open.GPUs != nil) && slices.Equal(brands, open.Brands) {
				continue
			}
			regions = open.close(driver, regions)
			if open = (Region{}); some {
				open = Region{GPUs: []Target{h.GPU}, From: driver, Brands: brands}
			}
		}
		regions = open.close(a.dropped(), regions)
	}
	return regions
}

// drivers are those of a sorted list that know the architecture, after the first of all.
func (a architecture) drivers(list []version) []string {
	drivers := []string{strconv.Itoa(a.first)}
	for _, v := range list {
		if v != (version{a.first}) && v[0] >= a.first && (a.last == 0 || v[0] <= a.last) {
			drivers = append(drivers, v.driver())
		}
	}
	return drivers
}

// dropped is the oldest driver that does not know the architecture any more, "" if all do.
func (a architecture) dropped() string {
	if a.last == 0 {
		return ""
	}
	return strconv.Itoa(a.last + 1)
}

// close adds a region that ends before a driver to the others, in one with all GPUs of the same
// bounds.
func (r Region) close(below string, regions []Region) []Region {
	if r.GPUs == nil {
		return regions
	}
	i := slices.IndexFunc(regions, func(o Region) bool {
		return o.From == r.From && o.Below == below && slices.Equal(o.Brands, r.Brands)
	})
	if i < 0 {
		r.Below = below
		return append(regions, r)
	}
	regions[i].GPUs = append(regions[i].GPUs, r.GPUs...)
	return regions
}

// brandsOn returns the brands on which the image runs, nil for all, and whether there is one.
// silent is n without its requirements, of which only the answer counts here.
func (n Needs) brandsOn(silent Needs, kinds [][]string, h Host) (brands []string, some bool) {
	all, runs := true, map[bool]bool{} // by whether cuda-compat leaves the brand out
	for _, kind := range kinds {
		if len(kind) > 0 {
			h.Brand = kind[0]
		}
		out := leavesOut(h.Brand)
		if _, known := runs[out]; !known {
			runs[out] = Predict(silent, h).Verdict.Runs()
		}
		if !runs[out] || !n.Admits(h) {
			all = false
			continue
		}
		brands, some = append(brands, kind...), true
	}
	if all {
		return nil, true
	}
	slices.Sort(brands)
	return brands, some
}

// kinds are the brands that the needs tell apart, those that they do not together; one list
// without a brand if it tells none apart.
func (n Needs) kinds() [][]string {
	named := map[string]bool{}
	for _, t := range n.terms() {
		if t.property == propBrand {
			named[lower(t.value)] = true
		}
	}
	if len(named) == 0 && !n.forwards() {
		return [][]string{nil}
	}
	var kinds [][]string
	at := map[bool]int{}
	for _, brand := range Brands() {
		i, known := at[leavesOut(brand)]
		switch {
		case named[brand]:
			kinds = append(kinds, []string{brand})
		case known:
			kinds[i] = append(kinds[i], brand)
		default:
			at[leavesOut(brand)] = len(kinds)
			kinds = append(kinds, []string{brand})
		}
	}
	return kinds
}

// forwards reports whether there is a library of cuda-compat.
func (n Needs) forwards() bool {
	return len(n.Compat) > 0 || slices.ContainsFunc(n.own(), func(l Libcuda) bool { return l.Forward })
}

// own are the image's own libcudas, and what ldconfig takes them for.
func (n Needs) own() (all []Libcuda) {
	for _, s := range n.Searches {
		for _, p := range s.Places {
			all = append(all, p.Own, Libcuda{Driver: p.Rank})
		}
	}
	return all
}

func (n Needs) terms() (all []term) {
	for _, r := range n.Require {
		all = append(all, slices.Concat(r.any...)...)
	}
	return all
}

// turns are the drivers from which on the verdict may be another one than for those before, on
// a GPU that they know: the first ones for the image's release and its PTX, the floors that are
// promised, and what the image itself compares with. They are sorted.
func (n Needs) turns() []version {
	release, _ := n.runtime()
	all := []version{branchOf(release)}
	for _, p := range n.Parts {
		for _, x := range p.PTX {
			all = append(all, branchOf(PTXRelease(x.ISA)))
		}
	}
	texts := append(slices.Collect(maps.Values(minorFloors)), FirstDriver(release))
	for _, t := range n.terms() {
		switch t.property {
		case propDriver:
			texts = append(texts, t.value)
		case propCUDA:
			for _, cuda := range bounds(t.value) {
				all = append(all, branchOf(cuda.driver()))
			}
		}
	}
	libcudas := n.own()
	for _, c := range n.Compat {
		libcudas = append(libcudas, Libcuda{Driver: c.Driver, Branches: c.Branches})
	}
	for _, l := range libcudas {
		texts = append(texts, l.Driver)
		for _, major := range slices.Concat(l.Branches, forwardBranches[DriverCUDA(l.Driver)], []int{Major(l.Driver)}) {
			all = append(all, version{major}, version{major + 1})
		}
	}
	for _, text := range texts {
		all = append(all, bounds(text)...)
	}
	slices.SortFunc(all, func(a, b version) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(all)
}

// branchOf is the first branch whose drivers offer a CUDA release or a newer one.
func branchOf(cuda string) version {
	i := slices.IndexFunc(branches, func(b branch) bool { return Compare(b.cuda, cuda) >= 0 })
	return version{branches[max(i, 0)].major}
}

// bounds returns a version, cut to the numbers that a driver's has, and the one after it. Where a number is more
// than any driver's, or is none, they are those of the numbers before it.
func bounds(text string) []version {
	var v version
	for i := range driverParts {
		n, rest, err := number(text)
		switch {
		case (err != nil || n >= mostNumber) && i == 0:
			return nil
		case err != nil || n >= mostNumber:
			return []version{v, v.next(i - 1)}
		}
		v[i], text = int(n), rest
		if rest == "" {
			break // what is missing is zero
		}
	}
	return []version{v, v.next(driverParts - 1)}
}

const (
	driverParts = 3       // numbers that a driver's version has at most
	mostNumber  = 1e6 - 1 // more than any of them; see maxDigits
)

// Within cuts regions to the drivers that are what is asked for, in the words of [DriverIs], and to
// GPUs. "" and none ask for nothing.
func Within(all []Region, driver string, gpus []Target) []Region {
	lowest, below := version{}, version{}
	for word := range strings.FieldsSeq(driver) {
		text := strings.TrimLeft(word, "<>=")
		v, ok := numbers(text)
		from, to := version{}, version{}
		switch op := strings.TrimSuffix(word, text); {
		case !ok:
			return nil
		case op == ">=":
			from = v
		case op == "<":
			to = v
		case op == "":
			from, to = v, v
			to[strings.Count(text, ".")]++
		default:
			return nil
		}
		lowest, below = later(lowest, from.up()), sooner(below, to.up())
	}
	var cut []Region
	for _, r := range all {
		if r.cut(lowest, below, gpus) {
			cut = append(cut, r)
		}
	}
	return cut
}

// cut makes r smaller and reports whether anything is left.
func (r *Region) cut(lowest, below version, gpus []Target) bool {
	from, _ := numbers(r.From)
	to, _ := numbers(r.Below)
	if f := later(from, lowest); f != from {
		from, r.From = f, f.driver()
	}
	if b := sooner(to, below); b != to {
		to, r.Below = b, b.driver()
	}
	if len(gpus) > 0 {
		r.GPUs = slices.DeleteFunc(slices.Clone(r.GPUs), func(t Target) bool { return !slices.Contains(gpus, t) })
	}
	return len(r.GPUs) > 0 && (to == version{} || slices.Compare(from[:], to[:]) < 0)
}
