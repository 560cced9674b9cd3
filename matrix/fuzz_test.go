// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/schema/schematest"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

// FuzzParse holds that a file gives either a matrix or bounded, sorted problems,
// and that what is accepted has no unknown key, fits the schema and expands the same
// every time.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"good", "bad"} {
		for _, file := range yamlFiles(f, dir) {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	c := catalog(f)
	inSchema := schematest.Compile(f, matrix.Schema(c))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := matrix.Parse("f", data, c)
		if err != nil {
			checkProblems(t, m, err)
			return
		}
		for _, key := range unknownKeys(t, data) {
			t.Errorf("accepted with unknown key %q", key)
		}
		if err := inSchema(yamlToJSON(data)); err != nil {
			t.Errorf("accepted, but not by the schema: %v", err)
		}
		again, err := matrix.Parse("f", data, c)
		if err != nil {
			t.Fatalf("second Parse = %v, want what the first gave", err)
		}
		if diff := cmp.Diff(m.Groups(), again.Groups()); diff != "" || len(m.Groups()) == 0 {
			t.Fatalf("Groups: none, or not stable:\n%s", diff)
		}
		for _, group := range m.Groups() {
			checkGroup(t, m, again, group)
		}
		checkTags(t, m)
		if stamped, err := m.Stamped("26.11"); err != nil {
			checkProblems(t, stamped, err)
		} else {
			checkTags(t, stamped)
		}
	})
}

func checkProblems(t *testing.T, m *matrix.Matrix, err error) {
	t.Helper()
	var problems spec.Problems
	if m != nil || !errors.As(err, &problems) || len(problems) == 0 || len(problems) > 101 {
		t.Fatalf("Parse = %v, %v; want nil and 1 to 101 problems", m, err)
	}
	for _, p := range problems {
		if p.Message == "" || p.Line < 0 || p.Column < 0 || len(p.Message) > 500 || !utf8.ValidString(p.Message+p.Hint) {
			t.Errorf("problem %+v: empty, long or not text", p)
		}
	}
}

func checkGroup(t *testing.T, m, again *matrix.Matrix, group string) {
	t.Helper()
	cells, err := m.Expand(group, nil)
	if err != nil {
		t.Fatal(err)
	}
	same, err := again.Expand(group, nil)
	if diff := cmp.Diff(cells, same, cmp.Comparer(func(a, b *recipes.Recipe) bool { return a == b })); diff != "" || err != nil {
		t.Errorf("Expand(%s) is not stable: %v\n%s", group, err, diff)
	}
	place := map[string]int{}
	for i, c := range cells {
		if _, twice := place[c.ID]; twice {
			t.Errorf("group %s has %s twice", group, c.ID)
		}
		place[c.ID] = i
		if !slices.Contains(c.Groups, group) || len(c.Platforms) == 0 || len(c.Tags) == 0 || (c.Flavor == "") == (c.Sample == "") {
			t.Errorf("group %s: cell %+v is not whole", group, c)
		}
	}
	for i, c := range cells {
		for _, below := range []string{c.Parent, c.Builder} {
			if at, ok := place[below]; ok && at > i {
				t.Errorf("group %s has %s before %s, which it stands on", group, c.ID, below)
			}
		}
	}
}

var tagForm = regexp.MustCompile(`^.+:[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// checkTags holds that no two images have a tag, and that each is one.
func checkTags(t *testing.T, m *matrix.Matrix) {
	t.Helper()
	owner := map[string]string{}
	for _, group := range m.Groups() {
		cells, _ := m.Expand(group, nil)
		for _, c := range cells {
			for _, tag := range c.Tags {
				if other, taken := owner[tag]; taken && other != c.ID || !tagForm.MatchString(tag) {
					t.Errorf("tag %q of %s: no tag, or that of %q too", tag, c.ID, other)
				}
				owner[tag] = c.ID
			}
		}
	}
}

// unknownKeys decodes an accepted file by other means and returns keys that the
// format does not have.
func unknownKeys(t *testing.T, data []byte) []string {
	t.Helper()
	var top map[string]any
	if err := yaml.Unmarshal(data, &top); err != nil {
		t.Fatalf("accepted, but yaml.Unmarshal = %v", err)
	}
	shared := []string{"platforms", "flavors", "samples"}
	unknown := extra(top, "version", "image", "defaults", "groups", "tags", "labels", "env", "cells")
	some, _ := top["cells"].([]any)
	for _, entry := range some {
		unknown = append(unknown, extra(entry.(map[string]any), "only", "labels", "env")...)
	}
	if defaults, ok := top["defaults"].(map[string]any); ok {
		unknown = append(unknown, extra(defaults, shared...)...)
	}
	for _, group := range top["groups"].(map[string]any) {
		for _, item := range group.([]any) {
			entry, ok := item.(map[string]any)
			if !ok {
				continue
			}
			unknown = append(unknown, extra(entry, append(shared, "os", "cuda", "exclude")...)...)
			excludes, _ := entry["exclude"].([]any)
			for _, e := range excludes {
				unknown = append(unknown, extra(e.(map[string]any), "os", "cuda", "reason")...)
			}
		}
	}
	return unknown
}

func extra(m map[string]any, known ...string) []string {
	var keys []string
	for key := range m {
		if !slices.Contains(known, key) {
			keys = append(keys, key)
		}
	}
	return keys
}
