// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// count is "1 image", "3 images".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// list is "a, b and c", or "none".
func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return "none"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// who names the images of an item: one or two by their IDs, more by their number.
func who(ids []string) string {
	if len(ids) == 1 || len(ids) == 2 {
		return list(ids)
	}
	return fmt.Sprintf("%d images", len(ids))
}

// inBrackets is " (a; b)", or nothing of no words.
func inBrackets(words ...string) string {
	if text := strings.Join(words, "; "); text != "" {
		return " (" + text + ")"
	}
	return ""
}

// sentence is an instruction, ours or a hint of others, with a capital and a full stop. A path or a command keeps its letters.
func sentence(s string) string {
	word, _, _ := strings.Cut(s, " ")
	plain := !strings.ContainsFunc(strings.TrimRight(word, ",:;"), func(r rune) bool { return !unicode.IsLower(r) }) && !strings.HasPrefix(s, "cudabuild ")
	if first, n := utf8.DecodeRuneInString(s); plain && n > 0 {
		s = string(unicode.ToUpper(first)) + s[n:]
	}
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

// verb is one as so many things do it.
func verb(one string, n int) string {
	if many, known := plural[one]; known && n != 1 {
		return many
	}
	return one
}

var plural = map[string]string{"has": "have", "was": "were", "is": "are", "does": "do", "stands": "stand"}
