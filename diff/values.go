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

// values compares what stands in manifest and configuration, and the blobs of layers whose content is the same.
func (p *pair) values(files bool) []ValueChange {
	all := []ValueChange{}
	add := func(name, old, now string, cause int) { all = append(all, ValueChange{name, old, now, cause}) }
	old, now := valuesOf(p.old), valuesOf(p.now)
	names := maps.Clone(old)
	maps.Copy(names, now)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if old[name] != now[name] {
			add(name, old[name], now[name], p.valueCause(name, old[name], now[name]))
		}
	}
	dates := stepDates(p.now.config)
	for command, was := range stepDates(p.old.config) {
		if is := dates[command]; is != "" && is != was {
			add("date of step "+short(command), was, is, p.dated("date of a step", was, is))
		}
	}
	slices.SortFunc(all, func(a, b ValueChange) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Old, b.Old))
	})
	for i, s := range p.steps {
		add("step", s.old, s.now, p.stepCause(i))
	}
	same := slices.Equal(p.old.config.RootFS.DiffIDs, p.now.config.RootFS.DiffIDs)
	for i, l := range p.now.manifest.Layers {
		if was := p.old.manifest.Layers; same && was[i].Digest != l.Digest {
			a, b := encoding(was[i]), encoding(l)
			add(fmt.Sprintf("layer %d", i), a+" "+was[i].Digest.String(), b+" "+l.Digest.String(), p.packed(a, b))
		}
	}
	if len(all) > 0 || files {
		return all
	}
	oldPacked, nowPacked := encodings(p.old.manifest), encodings(p.now.manifest)
	switch a, b := len(p.old.manifest.Layers), len(p.now.manifest.Layers); {
	case !same && oldPacked != nowPacked:
		add("compression", oldPacked, nowPacked, p.packed(oldPacked, nowPacked))
	case !same && a != b:
		add("layers", fmt.Sprint(a), fmt.Sprint(b), p.unseen("the same files, layers are cut otherwise"))
	case !same:
		add("layers", fmt.Sprint(a), fmt.Sprint(b), p.unseen("archives of the same files differ"))
	case p.old.manifest.Config.Digest == p.now.manifest.Config.Digest:
		add("manifest", string(p.old.manifest.MediaType), string(p.now.manifest.MediaType), p.packed("manifest", "manifest"))
	default:
		add("config", "", "", p.unseen("nothing that is compared differs"))
	}
	return all
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
		if p.date != none {
			return p.date
		}
		if p.firstOfAll != nil {
			return p.firstOfAll.Cause
		}
		return p.base()
	}
	if asked := p.asked(); asked != "" {
		return p.of(Recipe, name, asked)
	}
	return p.of(Environment, name, "")
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
