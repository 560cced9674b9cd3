// SPDX-License-Identifier: Apache-2.0

package view

import (
	"path"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// What placer may put together, over all layers: the image's links so often, and some.
const (
	placedTimes = 8
	placedMore  = 100_000
)

// placer returns a function for the findings of layer i. What lies in the
// place of the forward-compat package by its name alone, through a linked directory of
// this layer or of one below, is a driver library where it really lies.
func (v *layers) placer(i int) func(layer.Hit) layer.Hit {
	im := sync.OnceValue(func() *loader.Image { return v.links(i) })
	return func(h layer.Hit) layer.Hit {
		if h.Rule != rules.ForwardCompat || strings.Contains(h.Path, layer.InArchive) {
			return h
		}
		if im() == nil {
			return layer.Hit{Rule: rules.Unreadable, Path: h.Path, Detail: "too many layers have links and " + h.Detail + ": where its directory leads was not followed"}
		}
		if dir, ok := im().Real(path.Dir(h.Path)); !ok || !rules.ForHook(dir+"/") {
			h.Rule, h.Detail = rules.DriverLibrary, h.Detail+"; its directory is a link to /"+dir
		}
		return h
	}
}

// links is the directories and links as seen from layer i, nil if that is too much.
func (v *layers) links(i int) *loader.Image {
	most := placedMore
	for _, f := range v.facts {
		most += placedTimes * len(f.Linker.Links)
	}
	var layers []loader.Layer
	for k, f := range v.facts[:i+1] {
		v.placed += 1 + len(f.Linker.Links)
		hidden := func(p string) bool { return v.paths.hider(p, k+1) <= i }
		layers = append(layers, loader.Layer{Facts: &loader.Facts{Links: f.Linker.Links}, Hidden: hidden})
	}
	if v.placed > most {
		return nil
	}
	return loader.New(layers, v.paths.has, loader.Env{})
}

// hardHits returns the findings that hard links of layer i share with lower layers.
func (v *layers) hardHits(i int) []layer.Hit {
	var hits []layer.Hit
	for _, l := range v.facts[i].Hard {
		if h := v.found(l.Target, i); h != nil && !l.Judged {
			hits = append(hits, layer.Hit{Rule: h.Rule, Path: l.Path, Detail: "hard link to " + l.Target + ": " + h.Detail})
		}
	}
	return hits
}

// linkHits returns the findings about symbolic links of layer i.
func (v *layers) linkHits(i int) []layer.Hit {
	var hits []layer.Hit
	exists := func(p string) bool { return v.exists(i, p) }
	found := func(p string) bool { return v.linkAt()[p] || v.found(p, len(v.facts)) != nil }
	for _, l := range v.facts[i].Links {
		if h, ok := l.Hit(exists, found); ok {
			hits = append(hits, h)
		}
	}
	return hits
}
