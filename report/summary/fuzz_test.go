// SPDX-License-Identifier: Apache-2.0

package summary

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// bare is what Markdown would act on, where no backslash stands before it.
var bare = regexp.MustCompile("(^|[^\\\\])(\\\\\\\\)*[`*_\\[\\]|~#]")

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "12.4-base-debian13", "a|b\nc", `\`, `\|`, "<b>", "[x](y)", "\xff\u202e", "https://x @y $z$", strings.Repeat("|", 1000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := text(s)
		if strings.ContainsAny(got, "\n\r\t<>@$\x1b") || strings.Contains(got, "://") || !utf8.ValidString(got) || bare.MatchString(strings.ReplaceAll(got, "&#", "")) { // but for what is escaped by its number
			t.Errorf("text(%q) = %q, want nothing that Markdown acts on", s, got)
		}
		if len(got) > 40*mostText {
			t.Errorf("text of %d bytes is %d long", len(s), len(got))
		}
	})
}
