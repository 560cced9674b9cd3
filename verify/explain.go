// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"path"
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
	// Real is where the path leads by links of its folders; Path itself without any.
	Real string `json:"real"`
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

// PathLayer is what one layer says about the path.
type PathLayer struct {
	Layer Layer `json:"layer"`
	// Entries are the layer's own entries of that name, mostly one; never nil.
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
	if e.Real, err = v.follow(ctx, in, e.Path); err != nil {
		return Explanation{}, fmt.Errorf("%s: %w", ref, err)
	}
	layers, err := v.watchLayers(ctx, in.layers, e.Real)
	if err != nil {
		return Explanation{}, fmt.Errorf("%s: %w", ref, err)
	}
	all := newView(layers...)
	findings := assemble(in, all, mergedView(in, all).all())
	for i, facts := range layers {
		l := PathLayer{Layer: *in.layers[i].name(i), Entries: facts.watched.seen, Package: facts.watched.pkg, Findings: []Finding{}}
		for _, f := range findings {
			if (f.Path == e.Real || f.Path == "") && f.Layer != nil && f.Layer.Index == i {
				l.Findings = append(l.Findings, f)
			}
			if f.Path == "" && f.Layer != nil && f.Layer.Index == i && f.Rule == ruleUnreadable {
				e.Unread = fmt.Sprintf("layer %d was not read to its end: %s", i, f.Detail)
			}
		}
		if e.Visible {
			l.Hides = facts.Paths.hiddenBy(e.Real)
		}
		e.Visible = facts.Paths.exists(e.Real) || e.Visible && l.Hides == ""
		if len(l.Entries) > 0 || len(l.Findings) > 0 || l.Hides != "" {
			e.Layers = append(e.Layers, l)
		}
	}
	return e, nil
}

// follow returns where p is with the links of its folders followed, as all layers
// together have them.
func (v *Verifier) follow(ctx context.Context, in inspected, p string) (string, error) {
	facts, _, err := v.readLayers(ctx, in.layers)
	if err != nil {
		return "", err
	}
	dir, ok := newView(facts...).image(loader.Env{}).Real(clean(path.Dir(p)))
	if !ok {
		return p, nil
	}
	return clean(dir + "/" + path.Base(p)), nil
}

func (v *Verifier) watchLayers(ctx context.Context, layers []layerRef, path string) ([]*layerFacts, error) {
	facts, errs := make([]*layerFacts, len(layers)), make([]error, len(layers))
	var wg sync.WaitGroup
	for i, ref := range layers {
		wg.Go(func() {
			if ref.foreign {
				facts[i], _, errs[i] = v.layer(ctx, ref)
				facts[i].watched = newWatch(path)
				return
			}
			facts[i], errs[i] = v.read(ctx, ref, path)
			if errs[i] != nil {
				errs[i] = fmt.Errorf("layer %d (%s): %w", i, ref.digest, errs[i])
			}
		})
	}
	wg.Wait()
	return facts, errors.Join(errs...)
}
