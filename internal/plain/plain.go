// SPDX-License-Identifier: Apache-2.0

// Package plain prints words in which others may have had a say: images, recipes, file
// names, what a runtime says. A terminal gets nothing from them that it would act on.
package plain

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// To returns a writer that writes text to w as [Text] has it. Each Write is to hold whole
// characters.
func To(w io.Writer) io.Writer { return writer{w} }

type writer struct{ to io.Writer }

func (w writer) Write(text []byte) (int, error) {
	if _, err := io.WriteString(w.to, Text(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// JSON writes a document as every --json and the record of a run have it: for people too,
// so it is indented, and no character is escaped that neither JSON nor a terminal wants
// escaped.
func JSON(w io.Writer, document any) error {
	enc := json.NewEncoder(To(w))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}

// Text is text with what cannot be seen as escapes, which JSON's strings know too: control
// characters but tabs and ends of lines, marks that turn or hide text, and bytes that are
// no text.
func Text(text string) string {
	if !strings.ContainsFunc(text, hidden) && utf8.ValidString(text) {
		return text
	}
	var s strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&s, `\x%02x`, text[i])
		case hidden(r):
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&s, `\u%04x`, unit)
			}
		default:
			s.WriteString(text[i : i+n])
		}
		i += n
	}
	return s.String()
}

func hidden(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
