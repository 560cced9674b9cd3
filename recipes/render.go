// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// renderer fills the templates of an era in for one toolkit on one platform of an OS.
type renderer struct {
	toolkit  toolkitFile
	era      eraFile
	source   Source
	os       OS
	platform string
	places   []string          // where pins may be others, for this platform
	words    map[string]string // what is known without a document
	// witness takes versions from whoever is a witness only, in place of documents.
	witness bool
}

// Reasons for which a word of a template has no text.
var (
	errNone      = errors.New("not in this image")
	errUnsourced = errors.New("no document gives it")
)

// rendered is a layer, and what explains its packages.
type rendered struct {
	Layer

	pins      []Pin
	unsourced []string
	witnessed []Pin
}

// everywhere makes the release that the rest of the program sees: as it is on the first
// platform, and how it is on others where any pin differs.
func (t toolkitFile) everywhere(e eraFile, s Source, o OS, platforms []string) (Release, error) {
	r, err := t.release(e, s, o, platforms, platforms[0])
	for _, platform := range platforms[1:] {
		if err != nil || !t.differs(e, o.Name, platform) && !t.differs(e, o.Name, platforms[0]) {
			continue
		}
		var other Release
		if other, err = t.release(e, s, o, platforms, platform); err != nil {
			break
		}
		if got, want := other.Flavors(), r.Flavors(); !slices.Equal(got, want) {
			return r, fmt.Errorf("CUDA %s on %s has %v for %s and %v for %s: all platforms need the same", t.CUDA, o.Name, got, platform, want, platforms[0])
		}
		if r.on == nil {
			r.on = map[string]Release{}
		}
		r.on[platform] = other
	}
	return r, err
}

// release makes the release as it is on one of its platforms.
func (t toolkitFile) release(e eraFile, s Source, o OS, platforms []string, platform string) (Release, error) {
	r := &renderer{toolkit: t, era: e, source: s, os: o, platform: platform, places: places(o.Name, platform), words: t.words()}
	release := Release{
		CUDA: t.CUDA, Source: s.Name, OS: o.Name, Platforms: platforms, Version: t.words()["version"],
		Layers: map[Flavor]Layer{}, Samples: s.samples(t.CUDA), origin: t.origin,
	}
	layers := e.layers(o.Repository.Packages)
	for _, flavor := range slices.SortedFunc(slices.Values(sortedKeys(layers)), CompareFlavors) {
		layer, err := r.layer(flavor, layers[flavor])
		switch {
		case err != nil:
			return Release{}, fmt.Errorf("layer %s of era %q for %s: %w", flavor, e.Name, o.Name, err)
		case len(layer.Packages) == 0: // a variant that this release does not have
		case flavor == compatLayer:
			release.compat = &forward{layer, t, s}
		default:
			release.add(flavor, layer)
		}
	}
	return release, nil
}

// add gives a flavor its layer, or adds to the one it has.
func (r *Release) add(f Flavor, l rendered) {
	old := r.Layers[f]
	l.Packages = append(slices.Clip(old.Packages), l.Packages...)
	l.SizeMB += old.SizeMB
	r.Layers[f] = l.over(old)
	r.Pins = append(slices.Clip(r.Pins), l.pins...)
	r.Unsourced = append(slices.Clip(r.Unsourced), l.unsourced...)
	r.Witnessed = append(slices.Clip(r.Witnessed), l.witnessed...)
}

// words returns what templates can say of a toolkit without a document.
func (t toolkitFile) words() map[string]string {
	major, _, _ := strings.Cut(t.CUDA, ".")
	xy, version := minor(t.CUDA), cmp.Or(t.Version, t.CUDA)
	return map[string]string{
		"X": major, "X.Y": xy, "X-Y": strings.ReplaceAll(xy, ".", "-"),
		"version": version, "Z": strings.TrimPrefix(version, xy+"."),
	}
}

func (r *renderer) layer(flavor Flavor, template layerFile) (rendered, error) {
	l := rendered{Layer: Layer{SizeMB: template.SizeMB}}
	for _, p := range template.Packages {
		if err := r.add(&l, p); err != nil {
			return l, err
		}
	}
	if len(l.Packages) == 0 {
		return l, nil
	}
	l.Packages = append(l.Packages, r.os.Extra[flavor]...)
	for _, name := range template.Hold {
		name, _, err := r.expand(name)
		if err != nil {
			return l, err
		}
		if l.installs(name) {
			l.Hold = append(l.Hold, name)
		}
	}
	var errs [3]error
	l.Env, errs[0] = r.expandAll(template.Env)
	l.Files, errs[1] = r.expandAll(template.Files)
	l.Links, errs[2] = r.expandAll(template.Links)
	return l, errors.Join(errs[:]...)
}

// add adds a package of a template, "name" or "name=version".
func (r *renderer) add(l *rendered, template string) error {
	left, right, pinned := strings.Cut(template, "=")
	name, _, err := r.expand(left)
	if err != nil {
		return err
	}
	if !pinned {
		l.Packages = append(l.Packages, name)
		return nil
	}
	version, from, err := r.version(right)
	switch {
	case errors.Is(err, errNone):
	case errors.Is(err, errUnsourced) || err == nil && from.Title == "":
		l.Packages = append(l.Packages, name)
		l.unsourced = append(l.unsourced, name)
		w := *r
		w.witness = true
		if version, from, err := w.version(right); err == nil && from.Title != "" {
			l.witnessed = append(l.witnessed, Pin{name, version, from.Title, from.Date, r.toolkit.where(right, r.places), from.by})
		}
	case err != nil:
		return err
	default:
		l.Packages = append(l.Packages, name+r.os.joint()+version)
		l.pins = append(l.pins, Pin{name, version, from.Title, from.Date, r.toolkit.where(right, r.places), from.by})
	}
	return nil
}

// joint is what the OS's package manager wants between a name and a version.
func (o OS) joint() string {
	if o.Repository.Packages == "rpm" {
		return "-"
	}
	return "="
}

// installs reports a package of that name with or without a version.
func (l rendered) installs(name string) bool {
	return slices.Contains(l.unsourced, name) || slices.ContainsFunc(l.pins, func(p Pin) bool { return p.Package == name })
}
