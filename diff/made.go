// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/record"
)

// made compares what two images were made of, where that was noted for both.
type made struct {
	old, now *record.Made
	known    bool
	parts    map[string][]string // by kind, the names of those that one side alone has, sorted
}

func compareMade(old, now *record.Made) made {
	m := made{old, now, old != nil && now != nil && len(old.Parts) > 0 && len(now.Parts) > 0, map[string][]string{}}
	if !m.known {
		return m
	}
	sides := map[record.Part]int{} // 1 for the old one, 2 for the new one, 3 for both
	for i, side := range []*record.Made{old, now} {
		for _, p := range side.Parts {
			p.Date = p.Date.UTC().Truncate(time.Second)
			sides[p] |= 1 << i
		}
	}
	for p, on := range sides {
		if on != 3 {
			m.parts[p.Kind] = append(m.parts[p.Kind], p.Name)
		}
	}
	for kind, names := range m.parts {
		slices.Sort(names)
		m.parts[kind] = slices.Compact(names)
	}
	return m
}

func (m made) changed(kind string) bool { return len(m.parts[kind]) > 0 }

// asked names the files that ask for something else: recipes and the matrix, "" if there are none.
func (m made) asked() string {
	if m.known && m.old.Plan == m.now.Plan {
		return ""
	}
	var files []string
	for _, f := range m.parts[record.RecipePart] {
		files = append(files, "recipes/"+f)
	}
	if m.changed(record.MatrixPart) && len(files) == 0 {
		files = []string{"matrix.yaml"}
	}
	return strings.Join(files, ", ")
}

// What a tool makes: the root, or layers on top of it. cudabuild itself has a part in both.
var (
	ofSteps = func(tool string) bool { return slices.Contains([]string{"cudabuild", "buildkitd", "runc"}, tool) }
	ofRoot  = func(tool string) bool { return tool == "cudabuild" || !ofSteps(tool) }
	ofAll   = func(string) bool { return true }
)

// tools are the programs of other versions that make something, "" if there are none, or nobody has noted them.
func (m made) tools(of func(tool string) bool) string {
	if !m.known || m.old.Tools == nil || m.now.Tools == nil {
		return ""
	}
	var all []string
	names := maps.Clone(m.old.Tools)
	maps.Copy(names, m.now.Tools)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a, b := m.old.Tools[name], m.now.Tools[name]; a != b && of(name) {
			all = append(all, fmt.Sprintf("%s %s -> %s", name, cmp.Or(a, "none"), cmp.Or(b, "none")))
		}
	}
	return strings.Join(all, ", ")
}

// lists says which package lists are of another day, or else which repository that steps install from; "" if none is.
func (m made) lists() string {
	for _, kind := range []string{record.ListsPart, record.RepositoryPart} {
		for _, name := range m.parts[kind] {
			old, now := dateOf(m.old, kind, name), dateOf(m.now, kind, name)
			switch {
			case old.Equal(now):
			case kind == record.ListsPart:
				return fmt.Sprintf("package lists of %s -> %s", stamp(old), stamp(now))
			default:
				return fmt.Sprintf("%s of %s -> %s", name, stamp(old), stamp(now))
			}
		}
	}
	return ""
}

// roots are the digests of the roots, "" if they are not known.
func (m made) roots() (old, now string) {
	if !m.known {
		return "", ""
	}
	return rootDigest(m.old), rootDigest(m.now)
}

func rootDigest(m *record.Made) (digest string) {
	for _, p := range m.Parts {
		if p.Kind == record.RootPart {
			digest = p.Digest
		}
	}
	return digest
}

func dateOf(m *record.Made, kind, name string) (date time.Time) {
	for _, p := range m.Parts {
		if p.Kind == kind && p.Name == name {
			date = p.Date
		}
	}
	return date
}

// same reports that both were made of the same parts by the same tools.
func (m made) same() bool {
	parts := []string{record.RootPart, record.ListsPart, record.RepositoryPart, record.KeyPart, record.SourcePart, record.RecipePart}
	return m.known && m.tools(ofAll) == "" && m.old.Plan == m.now.Plan && m.old.Tools != nil && m.now.Tools != nil &&
		!slices.ContainsFunc(parts, m.changed)
}

// causes are what the notes alone say of why two images differ.
func (m made) causes(c *causes) (all []int) {
	if !m.known {
		return []int{}
	}
	if asked := m.asked(); asked != "" {
		all = append(all, c.of(Recipe, "it asks for something else", asked))
	}
	if files := m.parts[record.SourcePart]; len(files) > 0 {
		all = append(all, c.of(Source, strings.Join(files, ", "), ""))
	}
	if lists := m.lists(); lists != "" {
		all = append(all, c.of(Date, lists, ""))
	} else if m.changed(record.RootPart) {
		all = append(all, c.of(Base, "another root", ""))
	}
	if tools := m.tools(ofAll); tools != "" {
		all = append(all, c.of(Tool, tools, ""))
	}
	if m.old.Compression != m.now.Compression {
		all = append(all, c.of(Tool, fmt.Sprintf("compression %s -> %s", m.old.Compression, m.now.Compression), ""))
	}
	return all
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
