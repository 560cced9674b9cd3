// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/plan"
)

// heredoc returns text as a here-document in which nothing is expanded, from its << to
// its last line; rest is what follows on the first one. The word that ends it gets
// longer until no line of the text is that word.
func heredoc(word, rest, text string) string {
	text = strings.TrimSuffix(text, "\n")
	lines := strings.Split(text, "\n")
	for slices.Contains(lines, word) {
		word += "_"
	}
	if rest != "" {
		rest = " " + rest
	}
	return "<<'" + word + "'" + rest + "\n" + text + "\n" + word
}

// quote returns a value of ENV or LABEL: quoted, and nothing in it is expanded.
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(value) + `"`
}

// assign sets a variable in a shell script, to its text as it is.
func assign(v variable) string {
	if !strings.Contains(v.Value, "\n") {
		return v.Name + "=" + plan.Quote(v.Value)
	}
	return v.Name + "=$(cat " + heredoc("TEXT", "", v.Value) + "\n)"
}

// script is a shell script that ends at the first error and finds its variables set.
func script(vars []variable, text string) string {
	var s strings.Builder
	s.WriteString("set -eu\n")
	var names []string
	for _, v := range vars {
		s.WriteString(assign(v) + "\n")
		names = append(names, v.Name)
	}
	if len(names) > 0 {
		s.WriteString("export " + strings.Join(names, " ") + "\n")
	}
	return s.String() + text
}
