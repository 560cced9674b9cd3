// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/suggest"
)

// Form is what a word may be: one of Words, or of a Pattern, or what Check says. The zero Form
// is any text without characters that cannot be seen.
type Form struct {
	Noun    string   // "OS", for "unknown OS"
	Words   []string // in the order in which hints name them
	Globs   bool     // lists may have globs over Words, as of [path.Match]
	Pattern *regexp.Regexp
	Want    string // what Pattern is, in words
	Min     int    // characters
	Max     int    // characters, 0 for any number
	Number  string // what to add to the hint for a number; it is then looked at as a word, too
	Hint    string // what to do about a word that is too short
	Else    string // what to add to the hint for an unknown word
	Doc     string // description in the schema

	// Check says what is wrong with a word, with the place it has in the file, and what to do;
	// "" if nothing is. Pattern, Min and Max are then for the schema alone.
	Check func(text, what string) (message, hint string)
}

// problem says what is wrong with a word, "" if nothing is.
func (f Form) problem(text, what string) (message, hint string) {
	switch {
	case f.Check != nil:
		return f.Check(text, what)
	case f.Words != nil && !slices.Contains(f.Words, text):
		return fmt.Sprintf("unknown %s %q", f.Noun, text), suggest.Hint(text, f.Words) + f.Else
	case len(text) < f.Min:
		return what + ": it is empty", f.Hint
	case f.Pattern != nil && !f.Pattern.MatchString(text):
		return fmt.Sprintf("%s: %q: want %s", what, text, f.Want), f.Hint
	case strings.ContainsFunc(text, hidden):
		return fmt.Sprintf("%s: %q has characters that cannot be seen", what, text), f.Hint
	}
	return "", ""
}

// hidden reports a character that a terminal would act on, or that hides others. The end of a
// line and tabs are for texts.
func hidden(r rune) bool { return r != '\n' && r != '\t' && r != ' ' && !unicode.IsPrint(r) }

func (f Form) matching(glob string) (found []string) {
	for _, name := range f.Words {
		if ok, err := path.Match(glob, name); ok && err == nil {
			found = append(found, name)
		}
	}
	return found
}

// word reads a word of a form; ok is false after a problem that leaves none. A number that is
// no word in YAML's eyes may be one, to report all there is.
func (r *reader) word(n *yaml.Node, name, what string) (w Word, ok bool) {
	form := r.Forms[name]
	if w, ok = r.text(n, form.Number, what); !ok && (form.Number == "" || !isNumber(n)) {
		return Word{}, false
	}
	if r.Loose && w.Text == "" {
		return w, true
	}
	if message, hint := form.problem(w.Text, what); message != "" {
		r.node(n, hint, "%s", message)
		return Word{}, false
	}
	return w, true
}

// wordOrGlob reads an item of a list.
func (r *reader) wordOrGlob(n *yaml.Node, name, what string) (w Word, ok bool) {
	form := r.Forms[name]
	if !form.Globs || n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || !strings.ContainsAny(n.Value, "*?[") {
		return r.word(n, name, what)
	}
	if len(form.matching(n.Value)) == 0 {
		r.node(n, suggest.Hint(n.Value, form.Words)+form.Else, "%s: %q matches nothing", what, n.Value)
		return Word{}, false
	}
	return Word{n.Value, r.place(n), true}, true
}

func isNumber(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!float" || n.ShortTag() == "!!int")
}

// text reads a string. In a loose format other scalars are strings, too.
func (r *reader) text(n *yaml.Node, number, what string) (w Word, ok bool) {
	w = Word{Text: n.Value, Place: r.place(n)}
	tag := n.ShortTag()
	if n.Kind == yaml.ScalarNode && (tag == "!!str" || r.Loose && tag != "!!merge") {
		return w, true
	}
	hint := ""
	if n.Kind == yaml.ScalarNode && slices.Contains([]string{"!!int", "!!float", "!!bool", "!!timestamp"}, tag) {
		hint = fmt.Sprintf("quote it: %q", n.Value)
	}
	if isNumber(n) {
		hint += number
	}
	r.node(n, hint, "%s: want a string, got %s", what, kind(n))
	return w, false
}
