// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
	"github.com/cudabuild/cudabuild/verify/internal/view"
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

// PathEntry is one entry of a layer's archive.
type PathEntry struct {
	Path   string `json:"path"` // as the layer has it, without a leading slash
	Type   string `json:"type"` // file, directory, symlink, hard link, device, other
	Size   int64  `json:"size"` // of a file, in bytes
	Mode   string `json:"mode"` // "-rwxr-xr-x"
	Owner  string `json:"owner"`
	Target string `json:"target,omitempty"` // of a link
	SHA256 string `json:"sha256,omitempty"` // of a file's content, in hex
	ELF    *ELF   `json:"elf,omitempty"`    // nil if it is no dynamic ELF file
}

// ELF is what an ELF file says about itself to the dynamic linker.
type ELF struct {
	SOName    string   `json:"soname"`
	Needed    []string `json:"needed"`
	Exports   int      `json:"exports"`    // symbols
	ExecBytes uint64   `json:"exec_bytes"` // of executable segments in the file
}

// Explain reads every layer of img, whatever is known about it already, and
// reports what it says about the path asked. Errors are those of [Verifier.Image].
func (v *Verifier) Explain(ctx context.Context, ref string, img v1.Image, asked string) (Explanation, error) {
	in, err := inspect(img)
	if err != nil {
		return Explanation{}, fmt.Errorf("%s: %w", ref, err)
	}
	e := Explanation{Ref: ref, Digest: in.digest, Platform: in.platform, Path: layer.Clean(asked), Layers: []PathLayer{}}
	facts, err := v.layers.Watch(ctx, in.refs(), path.Base(e.Path))
	if err != nil {
		return Explanation{}, fmt.Errorf("%s: %w", ref, err)
	}
	all := view.New(in.config, facts, false)
	e.follow(all)
	findings, names := in.findings(facts, all), map[string]bool{}
	for i, f := range facts {
		l := PathLayer{Layer: *in.name(i), Entries: []PathEntry{}, Package: f.Seen.Owner(e.Real), Findings: []Finding{}}
		for _, entry := range f.Seen.Entries {
			if all.Place(entry.Path) == e.Real {
				l.Entries = append(l.Entries, pathEntry(entry))
			}
		}
		for _, found := range findings {
			if found.Layer.Index == i && (found.Path == "" || all.Place(found.Path) == e.Real) {
				l.Findings = append(l.Findings, found)
			}
		}
		e.add(l, f, names)
	}
	return e, nil
}

// follow finds out where the path leads in an image.
func (e *Explanation) follow(all *view.Image) {
	e.Real = all.Place(e.Path)
	for _, l := range all.Followed(e.Path) {
		e.Links = append(e.Links, PathLink(l))
	}
}

// add counts a layer above those before. names are those under which they have the path
// and nothing hides it.
func (e *Explanation) add(l PathLayer, facts *layer.Facts, names map[string]bool) {
	for _, f := range l.Findings {
		if f.Path == "" && f.Rule == rules.Unreadable {
			e.Unread = fmt.Sprintf("layer %d was not read to its end: %s", l.Layer.Index, f.Detail)
		}
	}
	if facts.Seen.More {
		e.Unread = fmt.Sprintf("layer %d has more than %d entries named %s", l.Layer.Index, layer.MaxSeen, path.Base(e.Path))
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if hides := facts.Paths.HiddenBy(name); hides != "" {
			l.Hides = hides
			delete(names, name)
		}
	}
	for _, entry := range l.Entries {
		names[entry.Path] = true
	}
	if facts.Paths.Exists(e.Real) {
		names[e.Real] = true
	}
	e.Visible = len(names) > 0
	if len(l.Entries) > 0 || len(l.Findings) > 0 || l.Hides != "" {
		e.Layers = append(e.Layers, l)
	}
}

func pathEntry(e layer.Entry) PathEntry {
	return PathEntry{Path: e.Path, Type: e.Type, Size: e.Size, Mode: e.Mode, Owner: e.Owner, Target: e.Target, SHA256: e.SHA256, ELF: (*ELF)(e.ELF)}
}
