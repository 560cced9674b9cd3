// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain is where words go in which others may have had a say: images, recipes, file
// names, what a runtime says. A terminal gets nothing from them that it would act on.
type plain struct{ io.Writer }

func (p plain) Write(text []byte) (int, error) {
	if _, err := io.WriteString(p.Writer, visible(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// visible is text with what cannot be seen as escapes, which JSON's strings know too:
// control characters but tabs and ends of lines, marks that turn or hide text, and bytes
// that are no text.
func visible(text string) string {
	if !strings.ContainsFunc(text, hidden) && utf8.ValidString(text) {
		return text
	}
	var s strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&s, `\x%02x`, text[i])
		case hidden(r) && r > 0xffff:
			fmt.Fprintf(&s, `\U%08x`, r)
		case hidden(r):
			fmt.Fprintf(&s, `\u%04x`, r)
		default:
			s.WriteString(text[i : i+n])
		}
		i += n
	}
	return s.String()
}

func hidden(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
