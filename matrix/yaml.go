// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/yamlerr"
)

// maxDepth is how deep lists and mappings may nest; the format needs 7.
const maxDepth = 16

// plainTags are what YAML itself gives to values; any other tag was written out.
var plainTags = []string{"!!map", "!!seq", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge"}

// parseYAML returns the top node of the file's only document, or nil after
// reporting why there is none to go on with.
func parseYAML(r *report, data []byte) *yaml.Node {
	if !readable(r, data) {
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		reportEmpty(r)
		return nil
	case err != nil:
		reportSyntax(r, data, err)
		return nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		reportEmpty(r)
		return nil
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case err == nil:
		r.at(second.Line, second.Column, "one matrix file holds one document: remove this line and what follows",
			"a second YAML document starts here")
	case !errors.Is(err, io.EOF):
		reportSyntax(r, data, err)
	}
	plain(r, root, 1)
	if len(r.problems) > 0 {
		return nil
	}
	return root
}

// readable refuses what is no text before the YAML parser sees it.
func readable(r *report, data []byte) bool {
	if len(data) > MaxBytes {
		r.at(0, 0, "is this the right file? a matrix is a few kilobytes", "larger than 1 MiB")
		return false
	}
	at, what := -1, ""
	for i := 0; i < len(data) && at < 0; {
		c, size := utf8.DecodeRune(data[i:])
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
	r.at(line, column, "is this the right file? a matrix is text in UTF-8", "%s: not a YAML file", what)
	return false
}

func reportEmpty(r *report) {
	r.at(1, 1, `a matrix starts with "version: 1" and needs image and groups`, "the file is empty")
}

// reportSyntax reports what the YAML parser said. It knows lines only, and may
// name the one where the construct that broke began.
func reportSyntax(r *report, data []byte, err error) {
	line, message := yamlerr.Split(err)
	line, column := max(line, 1), 1
	hint := "check indentation, brackets and quotes on this line and the next"
	if lines := bytes.Split(data, []byte("\n")); line <= len(lines) && bytes.Contains(lines[line-1], []byte("\t")) {
		hint = "indent with spaces: YAML does not take tabs"
	}
	if strings.HasPrefix(message, "unknown anchor") { // said without a line
		line, column, hint = 0, 0, "anchors and aliases are not accepted: "+writeOut
	}
	r.at(line, column, hint, "not YAML: %s", message)
}

const writeOut = "write the value out; defaults and the inclusion of a group by its name save repetition"

// plain reports anchors, written-out tags and deep nesting. Nothing is
// expanded before it has run, so a file cannot grow in memory.
func plain(r *report, n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		r.at(n.Line, n.Column, "", "nested deeper than %d levels", maxDepth)
		return
	case n.Kind == yaml.AliasNode:
		return // its anchor is reported: YAML has no alias without one
	case n.Anchor != "":
		r.at(n.Line, n.Column, writeOut, "YAML anchor &%s: anchors and aliases are not accepted", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0 || !slices.Contains(plainTags, n.ShortTag()):
		r.at(n.Line, n.Column, "remove the tag, and quote the value if it is a string", "YAML tag %q: tags are not accepted", n.ShortTag())
	}
	for _, child := range n.Content {
		plain(r, child, depth+1)
	}
}
