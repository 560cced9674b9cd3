// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"fmt"
	"slices"
)

// Search is the way of the dynamic linker to libcuda.so.1 in a container that a hook
// has prepared, on hosts that keep it in one directory.
type Search struct {
	Hook Hook
	// Folder is the host's directory, "usr/lib64"; "" stands for any, FolderAside for all
	// that no distribution's linker searches.
	Folder string
	// Places are what it comes by, in order. None means that the hook's cuda-compat
	// comes first, and then the host's.
	Places []Place
}

// FolderAside is a directory of hosts that no linker searches unless the hook names it.
const FolderAside = "usr/local/nvidia/lib64"

// PlaceKind says whose a place is.
type PlaceKind int

// The kinds of places.
const (
	// PlaceOwn has a libcuda of the image's own.
	PlaceOwn PlaceKind = iota
	// PlaceHook is where cuda-compat comes if the hook uses it: the library that is found
	// in its directory, or none for the one that the hook has chosen.
	PlaceHook
	// PlaceHost is the host's directory. ldconfig links the higher version there, so
	// a library that the image has in it counts if it is newer.
	PlaceHost
	// PlaceEnd is the end of a way that does not lead to the host's directory.
	PlaceEnd
)

// Place is one directory with a libcuda.so.1.
type Place struct {
	Kind PlaceKind
	// Path, From and Own are of the image's library there, "" and zero if it has none:
	// From is what names the directory.
	Path, From string
	Own        Libcuda
	// Rank is the version by which ldconfig ranks the image's library in the host's
	// directory, "" if there is none that any driver's is not higher than.
	Rank string
}

// Loaded is the libcuda that programs get.
type Loaded struct {
	// Path and From are of the image's own library, "" for the host's and for one that
	// the hook has put in its place.
	Path, From string
	Own        Libcuda
	// Compat is the cuda-compat that the hook has put in the host's place, nil if none.
	Compat *Compat
	// Hook says what the hook does with the image's cuda-compat, "" if it has none.
	Hook string
	// Lost says why no libcuda is found at all, "" if one is.
	Lost string
}

// searches returns those for a host's hook and folder.
func (n Needs) searches(h Host) []Search {
	if h.Folder != "" && !slices.ContainsFunc(n.Searches, func(s Search) bool { return s.Folder == h.Folder }) {
		h.Folder = FolderAside
	}
	var all []Search
	for _, s := range n.Searches {
		if s.Hook == h.Hook && (h.Folder == "" || s.Folder == "" || s.Folder == h.Folder) {
			all = append(all, s)
		}
	}
	if all == nil {
		return []Search{{Hook: h.Hook}}
	}
	return all
}

// Loads returns the libcuda that programs of the image get on a host. Where that depends on the
// directory in which the host keeps its own, and h.Folder is "", it is the image's own.
func (n Needs) Loads(h Host) Loaded {
	searches := n.searches(h)
	for _, s := range searches {
		if l := n.loads(s, h); l.Path != "" {
			return l
		}
	}
	return n.loads(searches[0], h)
}

func (n Needs) loads(s Search, h Host) Loaded {
	c, why := n.used(h)
	places := s.Places
	if len(places) == 0 {
		places = []Place{{Kind: PlaceHook}}
	}
	for _, p := range places {
		switch {
		case p.Kind == PlaceHook && c != nil && p.Own.Broken:
			return Loaded{Path: p.Path, From: "the hook's ld.so.conf.d", Own: p.Own, Hook: why}
		case p.Kind == PlaceHook && c != nil:
			return Loaded{Compat: c.found(p), Hook: why}
		case p.Kind == PlaceHost && (p.Rank == "" || Compare(p.Rank, h.Driver) <= 0):
			return Loaded{Hook: why}
		case p.Kind == PlaceEnd:
			return Loaded{Lost: "no search path leads to the host's libcuda" + s.where(), Hook: why}
		case p.Kind != PlaceHook:
			return Loaded{Path: p.Path, From: p.From + s.where(), Own: p.Own, Hook: why}
		}
	}
	return Loaded{Hook: why}
}

// where says for which hosts an answer holds.
func (s Search) where() string {
	if s.Folder == "" {
		return ""
	}
	return fmt.Sprintf(" (on hosts that keep their libraries in /%s)", s.Folder)
}

// with judges the image with the libcuda that it loads.
func (n Needs) with(l Loaded, h Host) Prediction {
	if l.Path != "" {
		if p, decides := n.PredictWith(l.Own, h); decides {
			p.Why = fmt.Sprintf("the image's own %s is found through %s in place of driver %s's: %s", l.Path, l.From, h.Driver, p.Why)
			return p
		}
	}
	if l.Lost != "" {
		return fails(ErrorDriver, "%s (error 35): ld.so.conf does not include what the runtime hook writes", l.Lost)
	}
	if l.Compat != nil {
		p := n.forward(l.Compat.Driver, l.Compat.Branches, h)
		p.Why = l.Hook + p.Why
		return p
	}
	p := n.on(h.offer(), h.GPU)
	if l.Path != "" {
		p.Why += fmt.Sprintf("; the image's own %s is found through %s, and is of that very driver", l.Path, l.From)
	}
	if l.Hook != "" {
		p.Why += "; " + l.Hook
	}
	return p
}

// forward judges the image with a libcuda of cuda-compat; its reason goes on behind a
// sentence about where that comes from.
func (n Needs) forward(version string, branches []int, h Host) Prediction {
	switch {
	case leavesOut(h.Brand):
		return fails(ErrorCompat, ", which GPUs of brand %s do not accept (error 804)", h.Brand)
	case !supports(version, branches, h.Driver):
		return fails(ErrorMismatch, ", which is not made for driver branch %d (error 803)", Major(h.Driver))
	}
	p := n.on(offered(version), h.GPU)
	scope := ", on data-center GPUs only (error 804 on others); "
	if h.Brand != "" {
		scope = "; "
	}
	if p.Verdict.Runs() {
		p.Verdict = ForwardCompat
	}
	p.Why = scope + p.Why
	return p
}
