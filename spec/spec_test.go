// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/spec"
)

type menu struct {
	Version int                       `yaml:"version,required" const:"1"`
	Title   string                    `yaml:"title" form:"title" doc:"What it is called."`
	Dishes  map[spec.Word][]dish      `yaml:"dishes,some" keys:"name" each:"dish" hint:"name one"`
	Also    map[string]map[string]int `yaml:"also"`
	Days    map[spec.Word][]spec.Word `yaml:"days,one" form:"day"`
	shared
}

type dish struct {
	At   spec.Place `doc:"One way to make it."`
	Like spec.Word  `yaml:",alone" doc:"Another dish."`
	With []string   `yaml:"with"`
	Left spec.Partial
	For  *int `yaml:"for"`
	shared
}

type shared struct {
	Colours []spec.Word `yaml:"colours,some" form:"colour"`
}

var forms = map[string]spec.Form{
	"title":  {Min: 1, Hint: "make one up"},
	"name":   {Pattern: regexp.MustCompile(`^[a-z]+$`), Want: "small letters"},
	"colour": {Noun: "colour", Words: []string{"red", "green", "grey"}, Globs: true},
	"day":    {Noun: "day", Words: []string{"mon", "tue"}, Number: " (or name it)"},
}

var (
	strict = spec.Format{What: "the menu", Forms: forms, Start: "write version: 1", Write: "write it out"}
	loose  = spec.Format{What: "the menu", Forms: forms, Start: "write version: 1", Loose: true}
)

// read returns what is in a text, and what is wrong with it, in a line each.
func read(t *testing.T, format spec.Format, text string) (m menu, wrong []string) {
	t.Helper()
	f := new(spec.Report).File("f")
	ok := f.Read([]byte(text), format, &m)
	var problems spec.Problems
	errors.As(f.Err(), &problems)
	if ok != (len(problems) == 0) {
		t.Errorf("Read = %v with %v", ok, problems)
	}
	for _, p := range problems {
		wrong = append(wrong, strings.TrimSuffix(p.Error()+"; "+p.Hint, "; "))
	}
	return m, wrong
}

// TestOthers: keys that are not known are left alone where others have some, and a number that
// is not there is nil.
func TestOthers(t *testing.T) {
	t.Parallel()
	var part struct {
		Others spec.Others
		Left   *int `yaml:"left"`
		Right  *int `yaml:"right"`
	}
	f := new(spec.Report).File("f")
	if ok := f.Read([]byte("what: [is, this]\nright: 0\nleft: none\nright: 1\n"), strict, &part); ok || part.Right == nil || *part.Right != 0 {
		t.Errorf("Read = %v, %+v", ok, part)
	}
	want := `f:3:7: left: want a whole number, got the string "none"` + "\n" + `f:4:1: duplicate key "right" in the menu: first at line 2`
	if err := f.Err(); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	m, wrong := read(t, strict, "version: 1\ntitle: x\ncolours: ['gr*', red]\ndishes:\n  soup: [{with: [a, a], colours: [red]}, stew]\n  stew: [{}]\ndays: {a: mon, b: [tue]}\nalso: {a: {b: 0x10}}\n")
	if wrong != nil {
		t.Fatal(wrong)
	}
	word := func(text string, line, column int) spec.Word {
		return spec.Word{Text: text, Place: spec.Place{Line: line, Column: column}}
	}
	glob := func(text string) spec.Word { return spec.Word{text, spec.Place{Line: 3, Column: 11}, true} }
	want := menu{
		Version: 1, Title: "x", shared: shared{[]spec.Word{glob("green"), glob("grey"), word("red", 3, 18)}},
		Also: map[string]map[string]int{"a": {"b": 16}},
		Days: map[spec.Word][]spec.Word{word("a", 7, 8): {word("mon", 7, 11)}, word("b", 7, 16): {word("tue", 7, 20)}},
		Dishes: map[spec.Word][]dish{
			word("soup", 5, 3): {{At: spec.Place{Line: 5, Column: 10}, With: []string{"a", "a"}, shared: shared{[]spec.Word{word("red", 5, 35)}}}, {Like: word("stew", 5, 42)}},
			word("stew", 6, 3): {{At: spec.Place{Line: 6, Column: 10}}},
		},
	}
	if diff := cmp.Diff(want, m, cmp.AllowUnexported(menu{}, dish{})); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	const same = "as strict" // is what a loose format says
	tests := []struct {
		text          string
		strict, loose string // what is wrong, by lines
	}{
		{"", "f:1:1: the file is empty; write version: 1", same},
		{"version: 2\nwhat: ever\n", "f:1:10: version 2 is not supported; this cudabuild reads version 1", same},
		{"version: one\n", `f:1:10: version: want the number 1, got the string "one"; write version: 1`, same},
		{"title: x\n", `f:1:1: missing key "version" in the menu; known keys: version, title, dishes, also, days, colours`, same},
		{"version: 1\ntitle: ''\n", "f:2:8: title: it is empty; make one up", ""},
		{"version: 1\ntitle:\n", "f:2:7: title: want a string, got nothing", ""},
		{"version: 1\ntitle: 1.5\n", `f:2:8: title: want a string, got the number 1.5; quote it: "1.5"`, ""},
		{"version: 1\ntitle: \"a\\u009bb\"\n", `f:2:8: title: "a\u009bb" has characters that cannot be seen; make one up`, same},
		{"version: 1\ntitel: x\n", `f:2:1: unknown key "titel" in the menu; did you mean "title"?`, same},
		{"version: 1\ndishes: {}\n", "f:2:9: dishes: there is none; name one", same},
		{"version: 1\ndishes: {A: [b]}\n", `f:2:10: dishes: "A": want small letters`, same},
		{"version: 1\ndishes: {a: [{wth: 1}, []]}\n", "f:2:15: unknown key \"wth\" in an entry of dish \"a\"; did you mean \"with\"?\nf:2:24: an entry of dish \"a\": want a string, got a list", same},
		{"version: 1\ncolours: [red, red, 'x*', blue]\n", "f:2:16: colours: \"red\" is listed twice, first at line 2; remove one of the two\n" +
			"f:2:21: colours: \"x*\" matches nothing; known: red, green, grey\nf:2:27: unknown colour \"blue\"; known: red, green, grey", same},
		{
			"version: 1\ndays: {a: 7, b: []}\n", "f:2:11: days a: want a string, got the number 7; quote it: \"7\" (or name it)\nf:2:11: unknown day \"7\"; known: mon, tue\nf:2:17: days b: the list is empty",
			"f:2:11: unknown day \"7\"; known: mon, tue\nf:2:17: days b: the list is empty",
		},
		{"version: 1\nalso: {a: {b: x, c: 99999999999999999999}}\n", "f:2:15: also a b: want a whole number, got the string \"x\"\nf:2:21: also a c: want a whole number, got the number 99999999999999999999", same},
		{"version: 1\nalso: {a: {b: 1, b: 2}, <<: {x: {}}}\n", "f:2:18: duplicate key \"b\" in also a: first at line 2; keep one of the two\nf:2:25: a key of also: want a string, got \"<<\", which YAML reads as merge", same},
		{"version: 1\nalso: {a: &a {x: 1}, b: *a}\n", "f:2:11: YAML anchor &a: anchors and aliases are not accepted; write it out", ""},
		{"version: 1\nalso: &a {b: *a}\n", "f:2:7: YAML anchor &a: anchors and aliases are not accepted; write it out", "f:2:7: also b b: want a whole number, got a mapping"},
		{"version: 1\ntitle: !mine x\n", `f:2:8: YAML tag "!mine": tags are not accepted; remove the tag, and quote the value if it is a string`, ""},
		{"version: 1\n---\nversion: 1\n", "f:2:1: a second YAML document starts here; a file holds one document: remove this line and what follows", same},
		{"version: 1\ntitle: *x\n", "f: not YAML: unknown anchor 'x' referenced; anchors and aliases are not accepted: write it out", "f: not YAML: unknown anchor 'x' referenced; anchor it before this file uses it"},
	}
	for _, test := range tests {
		for name, of := range map[string]struct {
			format spec.Format
			want   string
		}{"strict": {strict, test.strict}, "loose": {loose, strings.Replace(test.loose, same, test.strict, 1)}} {
			_, wrong := read(t, of.format, test.text)
			if diff := cmp.Diff(of.want, strings.Join(wrong, "\n")); diff != "" {
				t.Errorf("%s: %q (-want +got):\n%s", name, test.text, diff)
			}
		}
	}
}

// TestAliasBomb: where aliases are taken, they cannot make more of a file than memory holds.
func TestAliasBomb(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("version: 1\nalso:\n  a: &a {")
	for i := range 1100 {
		fmt.Fprintf(&b, "k%d: 1, ", i)
	}
	b.WriteString("}\n")
	for i := range 1100 {
		fmt.Fprintf(&b, "  b%d: *a\n", i)
	}
	_, wrong := read(t, loose, b.String())
	if len(wrong) != 1 || !strings.Contains(wrong[0], "more than 1048576 values") {
		t.Errorf("%d problems: %.300q, want one", len(wrong), wrong)
	}
}

// TestFind leads to what is there, and to the last place on the way to what is not.
func TestFind(t *testing.T) {
	t.Parallel()
	f := new(spec.Report).File("f")
	var m menu
	f.Read([]byte("version: 1\nalso: {a: &a {x: 1}, b: *a}\ncolours:\n  - red\n  - grey\n"), loose, &m)
	for path, want := range map[string]string{
		"also a x": "2:15", "also b x": "2:15", "also c": "2:1", "colours 1": "5:5", "colours grey": "5:5", "colours blue": "3:1", "title": "1:1",
	} {
		p := f.Find(strings.Fields(path)...)
		if got := fmt.Sprintf("%d:%d", p.Line, p.Column); got != want {
			t.Errorf("Find(%s) = %s, want %s", path, got, want)
		}
	}
	if got := f.Exact("colours", "grey").Line; got != 5 || f.Exact("title") != (spec.Place{}) {
		t.Errorf("Exact = line %d and %v, want line 5 and none", got, f.Exact("title"))
	}
	if diff := cmp.Diff(map[string]spec.Place{"a": {Line: 2, Column: 8}, "b": {Line: 2, Column: 22}}, f.Keys("also")); diff != "" {
		t.Errorf("Keys(also) (-want +got):\n%s", diff)
	}
	if p := new(spec.Report).File("unread").Find("x"); p != (spec.Place{}) {
		t.Errorf("Find in a file that was not read = %v", p)
	}
}

// TestReportIsBounded: the last of many problems counts those that are left out.
func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	var r spec.Report
	for i := range 250 {
		r.File("f").At(spec.Place{Line: 250 - i}, "", "%s", strings.Repeat("x", 1000))
	}
	var problems spec.Problems
	if !errors.As(r.Err(), &problems) || len(problems) != 101 || r.Count() != 250 {
		t.Fatalf("%d problems of %d, want 101 of 250", len(problems), r.Count())
	}
	if last := problems[100]; last.Message != "150 more problems are not shown" || len(problems[0].Message) > 410 || problems[0].Line > problems[1].Line {
		t.Errorf("first %+v, last %+v", problems[0], last)
	}
}

// ExampleFormat_Schema makes the schema of a file from the struct that it is read into.
func ExampleFormat_Schema() {
	type colours struct {
		List []spec.Word `yaml:"colours,required,some" form:"colour" doc:"What to paint with."`
	}
	format := spec.Format{Forms: map[string]spec.Form{"colour": {Noun: "colour", Words: []string{"red", "green"}}}}
	data, _ := json.Marshal(format.Schema(colours{}))
	fmt.Println(string(data))
	// Output:
	// {"type":"object","required":["colours"],"properties":{"colours":{"description":"What to paint with.","type":"array","items":{"type":"string","enum":["red","green"]},"minItems":1,"uniqueItems":true}},"additionalProperties":false}
}

// ExampleFile_Read reports what is wrong with a file.
func ExampleFile_Read() {
	var colours struct {
		List []spec.Word `yaml:"colours" form:"colour"`
	}
	f := new(spec.Report).File("colours.yaml")
	f.Read([]byte("colours: [red, gren]\n"), spec.Format{Forms: map[string]spec.Form{"colour": {Noun: "colour", Words: []string{"red", "green"}}}}, &colours)
	fmt.Println(f.Err())
	// Output:
	// colours.yaml:1:16: unknown colour "gren"
}
