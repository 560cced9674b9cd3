// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxBytes is the size of the largest file that is read.
const MaxBytes = 1 << 20

// ReadFile reads one byte more of a file than is accepted, so that who parses it can tell.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxBytes+1))
}

// maxDepth is how deep lists and mappings may nest; the formats need 7.
const maxDepth = 16

// plainTags are what YAML itself gives to values; any other tag was written out.
var plainTags = []string{"!!map", "!!seq", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge"}

// parse returns the top node of the file's only document, or nil after reporting why there
// is none to go on with.
func (r *reader) parse(data []byte) *yaml.Node {
	if !r.readable(data) {
		return nil
	}
	before := r.Count()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && document.Content[0].ShortTag() == "!!null" {
		r.At(Place{Line: 1, Column: 1}, r.Start, "the file is empty")
		return nil
	}
	if err != nil {
		r.syntax(data, err)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		r.node(&second, "a file holds one document: remove this line and what follows", "a second YAML document starts here")
	case !errors.Is(err, io.EOF):
		r.syntax(data, err)
	}
	r.plain(document.Content[0], 1)
	if r.Count() > before {
		return nil
	}
	return document.Content[0]
}

// readable refuses what is no text before the YAML parser sees it.
func (r *reader) readable(data []byte) bool {
	if len(data) > MaxBytes {
		r.At(Place{}, "is this the right file? a few kilobytes are usual", "larger than 1 MiB")
		return false
	}
	at, what := -1, ""
	for i := 0; i < len(data) && at < 0; {
		c, size := rune(data[i]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRune(data[i:])
		}
		switch {
		case c == utf8.RuneError && size == 1:
			at, what = i, "not valid UTF-8"
		case c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f:
			at, what = i, "control character "+strconv.QuoteRune(c)
		}
		i += size
	}
	if at < 0 {
		return true
	}
	before := data[:at]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	r.At(Place{Line: line, Column: column}, "is this the right file? it should be text in UTF-8", "%s: not a YAML file", what)
	return false
}

var lineForm = regexp.MustCompile(`^line (\d+): `)

// syntax reports what the YAML parser said. It knows lines only, in its text, and may name
// the one where the construct that broke began.
func (r *reader) syntax(data []byte, err error) {
	message, at := strings.TrimPrefix(err.Error(), "yaml: "), Place{Line: 1, Column: 1}
	if line := lineForm.FindStringSubmatch(message); line != nil {
		at.Line, _ = strconv.Atoi(line[1])
		message = strings.TrimPrefix(message, line[0])
		if strings.HasPrefix(message, "did not find expected ") { // its parser, unlike its scanner, counts from 0
			at.Line++
		}
	}
	hint := "check indentation, brackets and quotes on this line and the next"
	if lines := bytes.Split(data, []byte("\n")); at.Line <= len(lines) && bytes.Contains(lines[at.Line-1], []byte("\t")) {
		hint = "indent with spaces: YAML does not take tabs"
	}
	if strings.HasPrefix(message, "unknown anchor") { // said without a line
		at, hint = Place{}, "anchor it before this file uses it"
		if !r.Loose {
			hint = "anchors and aliases are not accepted: " + r.Write
		}
	}
	r.At(at, hint, "not YAML: %s", message)
}

// plain reports deep nesting and, unless the format is loose, anchors and written-out tags.
// Nothing is expanded before it has run, so a file cannot grow in memory.
func (r *reader) plain(n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		r.node(n, "", "nested deeper than %d levels", maxDepth)
		return
	case n.Kind == yaml.AliasNode:
		return // what it stands for is looked at where it is anchored
	case r.Loose:
	case n.Anchor != "":
		r.node(n, r.Write, "YAML anchor &%s: anchors and aliases are not accepted", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0 || !slices.Contains(plainTags, n.ShortTag()):
		r.node(n, "remove the tag, and quote the value if it is a string", "YAML tag %q: tags are not accepted", n.ShortTag())
	}
	for _, child := range n.Content {
		r.plain(child, depth+1)
	}
}
