// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/spec"
)

type shelf struct {
	Fixed map[string]map[string]string `yaml:"fixed,fixed" each:"board"`
	Boxes map[string]map[string]string `yaml:"boxes"`
	Label struct {
		By   string `yaml:"by"`
		Date string `yaml:"date"`
	} `yaml:"label,whole"`
	Notes map[string]map[string]string `yaml:"notes,whole"`
	List  []string                     `yaml:"list"`
}

// merge reads texts as versions of one file, and says what is wrong in a line each.
func merge(t testing.TB, texts ...string) (s shelf, f *spec.File, wrong []string) {
	t.Helper()
	f = new(spec.Report).File("v0")
	var versions []spec.Version
	for i, text := range texts {
		versions = append(versions, spec.Version{Path: "v" + string(rune('0'+i)), Data: []byte(text)})
	}
	ok := f.Merge(versions, spec.Format{What: "the shelf", Loose: true}, &s)
	var problems spec.Problems
	errors.As(f.Err(), &problems)
	if ok != (len(problems) == 0) {
		t.Errorf("Merge = %v with %v", ok, problems)
	}
	for _, p := range problems {
		wrong = append(wrong, p.Error())
	}
	return s, f, wrong
}

func TestMerge(t *testing.T) {
	t.Parallel()
	const first = "boxes:\n  a: {x: 1, y: 2}\n  b: {x: 3}\nlist: [p, q]\n"
	s, f, wrong := merge(t, first, "boxes:\n  a: {y: 5, z: 6}\n  b: null\n", "list: [r]\nboxes: {a: {x: null, y: 5}}\n")
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	want := shelf{Boxes: map[string]map[string]string{"a": {"y": "5", "z": "6"}}, List: []string{"r"}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	places := map[string]spec.Place{"y": {Line: 2, Column: 7, File: "v1"}, "z": {Line: 2, Column: 13, File: "v1"}}
	if diff := cmp.Diff(places, f.Keys("boxes", "a")); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	if at := f.Exact("boxes"); at.File != "" || f.Find("list").File != "v2" {
		t.Errorf("boxes at %+v, list at %+v", at, f.Find("list"))
	}
	for text, want := range map[string]string{
		"boxes: {a: {y: '2'}}\n":                   "v1:1:1: changes nothing: all of it is in v0",
		"boxes: {}\n":                              "v1:1:1: changes nothing: all of it is in v0",
		"boxes: {c: null}\n":                       `v1:1:9: "c" has nothing to take out: no file before this one has it`,
		"\nboxes: {a: {q: 1}, a: {q: 2}}\n":        `v1:2:20: duplicate key "a" in boxes: first at line 2`,
		"boxes: {a: {x: 8, x: 9}}\n":               `v1:1:19: duplicate key "x" in a: first at line 1`,
		"boxes: {b: null}\n\nboxes: {b: {x: 9}}\n": `v1:3:1: duplicate key "boxes" in the shelf: first at line 1`,
		"list: 1\n":                                "v1:1:7: list: want a list, got the number 1",
		"bxes: 1\n":                                `v1:1:1: unknown key "bxes" in the shelf`,
		"list: [\n":                                "v1:2:1: not YAML",
		"":                                         "v1:1:1: the file is empty",
		"boxes: {a: &a {k: *a}}\n":                 "", // what it says is not the question: it must end
		"boxes: &b {a: {x: 9}}\nlist: [*b, *b, *b]\n": "",
	} {
		if _, _, wrong := merge(t, first, text); len(wrong) == 0 || !strings.HasPrefix(strings.Join(wrong, "\n"), want) {
			t.Errorf("%q: %q, want %q", text, wrong, want)
		}
	}
}

// TestMergeNothing: nothing is not the word for it, whichever of the two comes first.
func TestMergeNothing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ first, second, want string }{
		{"boxes: {a: {x: ~}}\n", "boxes: {a: {x: '~'}}\n", "~"},
		{"boxes: {a: {x: null}}\n", "boxes: {a: {x: 'null'}}\n", "null"},
		{"boxes: {a: {x: 12}}\n", "boxes: {a: {x: '12', y: z}}\n", "12"},
		{"boxes: {a: {x: '~', y: z}}\n", "boxes: {a: {x: ~}}\n", ""},
	} {
		s, _, wrong := merge(t, test.first, test.second)
		if got, there := s.Boxes["a"]["x"]; got != test.want || there != (test.want != "") || len(wrong) > 0 {
			t.Errorf("%q and %q: %v %v, want %q", test.first, test.second, s.Boxes, wrong, test.want)
		}
	}
}

// TestMergeWhole: who says a part of what is whole says all of it, and is where it is from.
func TestMergeWhole(t *testing.T) {
	t.Parallel()
	const first = "label: {by: me, date: today}\nnotes:\n  a: {by: me, date: today}\n  b: {by: you}\n"
	s, f, wrong := merge(t, first, "label: {date: never}\nnotes: {a: {date: never}, c: {by: them}}\n")
	want := map[string]map[string]string{"a": {"date": "never"}, "b": {"by": "you"}, "c": {"by": "them"}}
	if len(wrong) > 0 || s.Label.By != "" || s.Label.Date != "never" || !cmp.Equal(want, s.Notes) {
		t.Errorf("merged: %+v, problems %v", s, wrong)
	}
	for _, path := range []string{"label", "notes a"} {
		if at := f.Exact(strings.Fields(path)...); at.File != "v1" {
			t.Errorf("%s is at %+v", path, at)
		}
	}
	if _, _, wrong := merge(t, first, "label: {date: today, by: me}\n"); len(wrong) != 0 {
		t.Errorf("in another order: %v", wrong)
	}
	if _, _, wrong := merge(t, first, "label: {by: me, date: today}\n"); len(wrong) != 1 || !strings.Contains(wrong[0], "changes nothing") {
		t.Errorf("the same: %v", wrong)
	}
}

// TestMergeFixed: later versions add to what is fixed, and neither change nor take out any of it,
// at once or one after the other.
func TestMergeFixed(t *testing.T) {
	t.Parallel()
	const first = "fixed:\n  a: {x: 1, y: 2}\n  b: {x: 3}\n"
	const stays = ` is another file's: it stays as it is there`
	for name, test := range map[string]struct {
		later []string
		want  string
	}{
		"more":            {[]string{"fixed: {c: {x: 1}}\n"}, ""},
		"the same, more":  {[]string{"fixed: {a: {x: 1}, c: {x: 1}}\n"}, ""},
		"another value":   {[]string{"fixed: {a: {x: 1, y: 4}}\n"}, `v1:1:19: board "a"` + stays},
		"a value more":    {[]string{"fixed: {a: {z: 4}}\n"}, `v1:1:13: board "a"` + stays},
		"a value less":    {[]string{"fixed: {a: {y: null}}\n"}, `v1:1:13: board "a"` + stays},
		"one less":        {[]string{"fixed: {a: null}\n"}, `v1:1:9: board "a"` + stays},
		"none":            {[]string{"fixed: null\n"}, `v1:1:1: board "a"` + stays},
		"a list":          {[]string{"fixed: [a]\n"}, `v1:1:1: board "b"` + stays},
		"an alias":        {[]string{"boxes: &b {a: {x: 9}}\nfixed: *b\n"}, `v1:1:16: board "a"` + stays},
		"out and again":   {[]string{"fixed: {a: null}\n", "fixed: {a: {x: 1}}\n"}, `v1:1:9: board "a"` + stays},
		"one in between":  {[]string{"fixed: {c: {x: 1}}\n", "fixed: {c: {x: 2}}\n"}, `v2:1:13: board "c"` + stays},
		"a key of theirs": {[]string{"fixed: {a: {x: 1}}\nboxes: {a: {x: 7}}\n", "boxes: {a: null}\n"}, ""},
	} {
		_, _, wrong := merge(t, append([]string{first}, test.later...)...)
		if got := strings.Join(wrong, "\n"); got != test.want && (test.want == "" || !strings.HasPrefix(got, test.want)) {
			t.Errorf("%s: %q, want %q", name, wrong, test.want)
		}
	}
}

// TestMergePlaces: what is wrong with a mapping of several versions is so where it was changed
// last, or where a key was taken out; what stands in it is where it stood.
func TestMergePlaces(t *testing.T) {
	t.Parallel()
	_, f, wrong := merge(t, "boxes:\n  a: {x: 1, y: 2}\n  b: {x: 3}\n", "\nboxes:\n  a: {y: 5}\n", "boxes:\n  a: {z: 6}\n  b:\n    x: null\n")
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for path, want := range map[string]spec.Place{
		"":            {Line: 1, Column: 1, File: "v2"},
		"boxes":       {Line: 1, Column: 1, File: "v2"},
		"boxes a":     {Line: 2, Column: 3, File: "v2"},
		"boxes a x":   {Line: 2, Column: 7},
		"boxes a y":   {Line: 3, Column: 7, File: "v1"},
		"boxes a no":  {Line: 2, Column: 3, File: "v2"},
		"boxes b x":   {Line: 4, Column: 5, File: "v2"},
		"boxes b x q": {Line: 4, Column: 5, File: "v2"},
	} {
		if got := f.Find(strings.Fields(path)...); got != want {
			t.Errorf("a problem with %q is at %+v, want %+v", path, got, want)
		}
	}
	if at := f.Exact("boxes", "a"); at != (spec.Place{Line: 2, Column: 3}) {
		t.Errorf("boxes a stands at %+v", at)
	}
	if at := f.Exact("boxes", "b", "x"); at != (spec.Place{}) {
		t.Errorf("what was taken out stands at %+v", at)
	}
}

// FuzzMerge holds that two files that can be read make one that has the keys of both, those of
// the second where both have one, or one that is said to change nothing.
func FuzzMerge(f *testing.F) {
	f.Add("boxes: {a: {x: 1}}\n", "boxes: {a: {x: 2, y: 3}, b: {z: 4}}\nlist: [p]\n")
	f.Add("boxes: {a: {x: 1}}\n", "boxes: {a: null}\n")
	f.Add("list: [a]\n", "list: [a]\n")
	f.Add("boxes: &b {a: {x: 1}}\n", "boxes: {a: &c {x: 2}, d: *c}\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		first, _, wrongA := merge(t, a)
		second, _, wrongB := merge(t, b)
		merged, _, wrong := merge(t, a, b)
		if len(wrongA) > 0 || len(wrongB) > 0 {
			if len(wrong) == 0 {
				t.Skip() // a later file may put right what the first has wrong
			}
			return
		}
		if len(wrong) > 0 {
			for _, w := range wrong {
				if !strings.Contains(w, "changes nothing") && !strings.Contains(w, "nothing to take out") {
					t.Errorf("%q and %q can be read, and together: %s", a, b, w)
				}
			}
			return
		}
		if first.Label != second.Label || len(first.Fixed)+len(second.Fixed)+len(first.Notes)+len(second.Notes) > 0 {
			return // not of mappings that just merge
		}
		if strings.ContainsAny(a+b, "*~") || strings.Contains(strings.ToLower(a+b), "null") || hasEmpty(first) || hasEmpty(second) {
			return // aliases stand for themselves, and what is empty may take a key out
		}
		want := shelf{Boxes: map[string]map[string]string{}, List: first.List}
		maps.Copy(want.Boxes, first.Boxes)
		for box, keys := range second.Boxes {
			both := maps.Clone(first.Boxes[box])
			if both == nil {
				both = map[string]string{}
			}
			maps.Copy(both, keys)
			want.Boxes[box] = both
		}
		if second.List != nil {
			want.List = second.List
		}
		if len(want.Boxes) == 0 {
			want.Boxes = merged.Boxes
		}
		if diff := cmp.Diff(want, merged); diff != "" {
			t.Errorf("%q and %q (-want +got):\n%s", a, b, diff)
		}
	})
}

func hasEmpty(s shelf) bool {
	for _, keys := range s.Boxes {
		for _, value := range keys {
			if value == "" {
				return true
			}
		}
		if len(keys) == 0 {
			return true
		}
	}
	return s.Boxes == nil && s.List == nil
}
