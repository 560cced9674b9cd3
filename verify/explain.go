// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

// Explanation is all that an image says about one path, as `verify --explain`
// prints it.
type Explanation struct {
	Ref      string `json:"ref"`
	Digest   string `json:"digest"`
	Platform string `json:"platform"`
	Path     string `json:"path"` // without a leading slash
	// Real is where the path leads by links of its folders; Path itself without any. Links
	// are those links, in the order in which they were followed.
	Real  string     `json:"real"`
	Links []PathLink `json:"links,omitempty"`
	// Visible tells whether a container sees the path.
	Visible bool `json:"visible"`
	// Layers is never nil: those that say something, bottom first.
	Layers []PathLayer `json:"layers"`
	// Unread says which layer could not be read to its end, "" if all were: what is not
	// visible may be there all the same.
	Unread string `json:"unread,omitempty"`
	// Error says why the image could not be read; then the rest is empty.
	Error string `json:"error,omitempty"`
}

// PathLink is a symbolic link that was followed.
type PathLink struct {
	Path   string `json:"path"`   // without a leading slash
	Target string `json:"target"` // as the link has it
}

// PathLayer is what one layer says about the path.
type PathLayer struct {
	Layer Layer `json:"layer"`
	// Entries are the layer's own entries of that name, mostly one, also those that it has
	// under the name of a link to a folder; never nil.
	Entries []PathEntry `json:"entries"`
	Package string      `json:"package"` // that owns it, by the layer's own records; "" if none does
	// Hides says how the layer hides the path of a layer below, "" if it does not.
	Hides string `json:"hides"`
	// Findings are those about the path and about the layer as a whole; never nil.
	Findings []Finding `json:"findings"`
}

// Explain reads every layer of img, whatever is known about it already, and
// reports what it says about the path asked. Errors are those of [Verifier.Image].
func (v *Verifier) Explain(ctx context.Context, ref string, img v1.Image, asked string) (Explanation, error) {
	in, err := inspect(img)
	if err != nil {
		return Explanation{}, fmt.Errorf("%s: %w", ref, err)
	}
	e := Explanation{Ref: ref, Digest: in.digest, Platform: in.platform, Path: clean(asked), Layers: []PathLayer{}}
	layers, err := v.watchLayers(ctx, in.layers, path.Base(e.Path))
	if err != nil {
		return Explanation{}, fmt.Errorf("%s: %w", ref, err)
	}
	all := newView(layers...)
	m := mergedView(in, all)
	e.follow(m.im)
	findings, names := assemble(in, all, m.all()), map[string]bool{}
	for i, facts := range layers {
		l := PathLayer{Layer: *in.layers[i].name(i), Entries: []PathEntry{}, Package: facts.watched.owner(e.Real), Findings: []Finding{}}
		for _, entry := range facts.watched.seen {
			if m.im.Place(entry.Path) == e.Real {
				l.Entries = append(l.Entries, entry)
			}
		}
		for _, f := range findings {
			if f.Layer != nil && f.Layer.Index == i && (f.Path == "" || m.im.Place(f.Path) == e.Real) {
				l.Findings = append(l.Findings, f)
			}
		}
		e.add(l, facts, names)
	}
	return e, nil
}

// follow finds out where the path leads in an image.
func (e *Explanation) follow(im *loader.Image) {
	e.Real = im.Place(e.Path)
	for _, l := range im.Followed(path.Dir(e.Path)) {
		e.Links = append(e.Links, PathLink(l))
	}
}

// add counts a layer above those before. names are those under which they have the path
// and nothing hides it.
func (e *Explanation) add(l PathLayer, facts *layerFacts, names map[string]bool) {
	for _, f := range l.Findings {
		if f.Path == "" && f.Rule == ruleUnreadable {
			e.Unread = fmt.Sprintf("layer %d was not read to its end: %s", l.Layer.Index, f.Detail)
		}
	}
	if facts.watched.more {
		e.Unread = fmt.Sprintf("layer %d has more than %d entries named %s", l.Layer.Index, maxSeen, path.Base(e.Path))
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if hides := facts.Paths.hiddenBy(name); hides != "" {
			l.Hides = hides
			delete(names, name)
		}
	}
	for _, entry := range l.Entries {
		names[entry.Path] = true
	}
	if facts.Paths.exists(e.Real) {
		names[e.Real] = true
	}
	e.Visible = len(names) > 0
	if len(l.Entries) > 0 || len(l.Findings) > 0 || l.Hides != "" {
		e.Layers = append(e.Layers, l)
	}
}

func (v *Verifier) watchLayers(ctx context.Context, layers []layerRef, base string) ([]*layerFacts, error) {
	facts, errs := make([]*layerFacts, len(layers)), make([]error, len(layers))
	var wg sync.WaitGroup
	for i, ref := range layers {
		wg.Go(func() {
			if ref.foreign {
				facts[i], _, errs[i] = v.layer(ctx, ref)
				facts[i].watched = newWatch(base)
				return
			}
			facts[i], errs[i] = v.read(ctx, ref, base)
			if errs[i] != nil {
				errs[i] = fmt.Errorf("layer %d (%s): %w", i, ref.digest, errs[i])
			}
		})
	}
	wg.Wait()
	return facts, errors.Join(errs...)
}
