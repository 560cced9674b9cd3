// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// values compares what stands in manifest and configuration, and the blobs of layers whose content is the same; and if neither
// these nor files differ, it says what is left.
func (p *pair) values(files bool) []ValueChange {
	all := append([]ValueChange{}, slices.Concat(p.named(), p.stepDates())...)
	slices.SortStableFunc(all, func(a, b ValueChange) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Old, b.Old))
	})
	for i, s := range p.steps {
		all = append(all, ValueChange{"step", s.old, s.now, p.stepCause(i)})
	}
	all = append(all, p.repacked()...)
	if len(all) > 0 || files {
		return all
	}
	return []ValueChange{p.rest()}
}

// named are the values of [valuesOf] that differ, sorted.
func (p *pair) named() (all []ValueChange) {
	old, now := valuesOf(p.old), valuesOf(p.now)
	names := maps.Clone(old)
	maps.Copy(names, now)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a, b := old[name], now[name]; a != b {
			all = append(all, ValueChange{name, a, b, p.valueCause(name, a, b)})
		}
	}
	return all
}

// stepDates are the dates of steps that both sides have, sorted by step.
func (p *pair) stepDates() (all []ValueChange) {
	old, now := stepDates(p.old.config), stepDates(p.now.config)
	for _, command := range slices.Sorted(maps.Keys(old)) {
		if was, is := old[command], now[command]; is != "" && is != was {
			all = append(all, ValueChange{"date of step " + short(command), was, is, p.dated("date of a step", was, is)})
		}
	}
	return all
}

// repacked are the layers of the same content in another blob.
func (p *pair) repacked() (all []ValueChange) {
	was, is := p.old.config.RootFS.DiffIDs, p.now.config.RootFS.DiffIDs
	for i := range min(len(was), len(is)) {
		old, now := p.old.manifest.Layers[i], p.now.manifest.Layers[i]
		if was[i] == is[i] && old.Digest != now.Digest {
			a, b := encoding(old), encoding(now)
			all = append(all, ValueChange{fmt.Sprintf("layer %d", i), a + " " + old.Digest.String(), b + " " + now.Digest.String(), p.packed(a, b)})
		}
	}
	return all
}

// rest is what is known of two images of which all that is compared is the same.
func (p *pair) rest() ValueChange {
	same := slices.Equal(p.old.config.RootFS.DiffIDs, p.now.config.RootFS.DiffIDs)
	oldPacked, nowPacked := encodings(p.old.manifest), encodings(p.now.manifest)
	switch a, b := len(p.old.manifest.Layers), len(p.now.manifest.Layers); {
	case !same && oldPacked != nowPacked:
		return ValueChange{"compression", oldPacked, nowPacked, p.packed(oldPacked, nowPacked)}
	case !same && a != b:
		return ValueChange{"layers", fmt.Sprint(a), fmt.Sprint(b), p.unseen("the same files, layers are cut otherwise")}
	case !same:
		return ValueChange{"layers", fmt.Sprint(a), fmt.Sprint(b), p.unseen("archives of the same files differ")}
	case p.old.manifest.Config.Digest == p.now.manifest.Config.Digest:
		return ValueChange{"manifest", string(p.old.manifest.MediaType), string(p.now.manifest.MediaType), p.packed("manifest", "manifest")}
	}
	return ValueChange{"config", "", "", p.unseen("nothing that is compared differs")}
}

// unseen is the cause of what no container sees.
func (p *pair) unseen(what string) int {
	switch tools := p.tools(ofAll); {
	case tools != "":
		return p.of(Tool, tools, "")
	case p.date != none:
		return p.date
	}
	return p.of(Unexplained, what, "")
}

// packed is the cause of a blob that is another one with the same content.
func (p *pair) packed(old, now string) int {
	if old != now {
		return p.of(Tool, fmt.Sprintf("compression %s -> %s", old, now), "")
	}
	if tools := p.tools(ofSteps); tools != "" {
		return p.of(Tool, tools, "")
	}
	return p.of(Tool, "the same content, written otherwise", "")
}

// encoding is how a blob is compressed, as its media type says.
func encoding(d v1.Descriptor) string {
	switch t := string(d.MediaType); {
	case strings.HasSuffix(t, "zstd"):
		return "zstd"
	case strings.HasSuffix(t, "gzip"):
		return "gzip"
	}
	return "none"
}

// encodings are those of all layers, each once.
func encodings(m *v1.Manifest) string {
	var all []string
	for _, l := range m.Layers {
		all = append(all, encoding(l))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// dated is the cause of a date that moved: that of all dates, if they have, else itself.
func (p *pair) dated(what, old, now string) int {
	if p.date != none {
		return p.date
	}
	return p.of(Date, short(fmt.Sprintf("%s %s -> %s", what, old, now)), "")
}

// valueCause is the cause of a value of the configuration.
func (p *pair) valueCause(name, old, now string) int {
	switch name {
	case "created", "label " + createdLabel:
		return p.dated(name, old, now)
	case "label " + baseLabel:
		return p.rootCause()
	}
	if asked := p.asked(); asked != "" {
		return p.of(Recipe, name, asked)
	}
	return p.of(Environment, name, "")
}

// rootCause is why it starts from another root: the step that made it, the lists that it was made from, a package that changed, or
// nobody knows.
func (p *pair) rootCause() int {
	switch {
	case len(p.now.stepAt) > 0 && p.now.stepAt[0] != none:
		return p.stepCause(p.now.stepAt[0])
	case p.lists() != "":
		return p.date
	case p.firstOfAll != nil:
		return p.firstOfAll.Cause
	}
	return p.base()
}

// valuesOf are what containers start with and what else an image says of itself, by name.
func valuesOf(s side) map[string]string {
	c := s.config.Config
	all := map[string]string{
		"platform": s.platform(), "os version": s.config.OSVersion, "author": s.config.Author, "created": stamp(s.config.Created.Time),
		"user": c.User, "workdir": c.WorkingDir, "stop signal": c.StopSignal,
		"entrypoint": list(c.Entrypoint), "cmd": list(c.Cmd), "shell": list(c.Shell), "on build": list(c.OnBuild),
		"volumes": list(slices.Sorted(maps.Keys(c.Volumes))), "ports": list(slices.Sorted(maps.Keys(c.ExposedPorts))),
	}
	if c.Healthcheck != nil {
		text, _ := json.Marshal(c.Healthcheck)
		all["health check"] = string(text)
	}
	for _, env := range c.Env {
		name, value, _ := strings.Cut(env, "=")
		all["env "+name] = value
	}
	for name, value := range c.Labels {
		all["label "+name] = value
	}
	for name, value := range s.manifest.Annotations {
		all["annotation "+name] = value
	}
	return all
}

func list(words []string) string {
	if len(words) == 0 {
		return ""
	}
	text, _ := json.Marshal(words)
	return string(text)
}
