// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"sync"
)

//go:embed licenses.txt
var licenseList string

// known are the IDs of SPDX's licences and exceptions, by themselves in small letters.
var known = sync.OnceValues(func() (licenses, exceptions map[string]string) {
	first, second, _ := strings.Cut(licenseList, "\n-\n")
	_, first, _ = strings.Cut(first, "\n") // the title
	index := func(lines string) map[string]string {
		at := map[string]string{}
		for _, id := range strings.Fields(lines) {
			at[strings.ToLower(id)] = id
		}
		return at
	}
	return index(first), index(second)
})

// words are names of licences that packages use for IDs of SPDX.
// Source: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/, 7.1.
var words = map[string]string{"expat": "MIT", "artistic": "Artistic-1.0", "cc0": "CC0-1.0", "zope-2.1": "ZPL-2.1", "w3c-software": "W3C"}

// gnu is a licence of the FSF's, as Debian ("LGPL-2.1+") and Fedora ("LGPLv2+") wrote them and SPDX once did.
var gnu = regexp.MustCompile(`^(agpl|gfdl|gpl|lgpl)(?:-|v)(\d)(\.\d)?(\+|-only|-or-later)?$`)

// licenseID is a word of a package's as an ID of SPDX, "" if it is none.
func licenseID(word string) string {
	licenses, _ := known()
	word = strings.ToLower(word)
	if m := gnu.FindStringSubmatch(word); m != nil {
		end := map[bool]string{true: "-or-later", false: "-only"}[m[4] == "+" || m[4] == "-or-later"]
		word = m[1] + "-" + m[2] + cmp.Or(m[3], ".0") + end
	}
	if id := cmp.Or(words[word], licenses[word]); id != "" {
		return id
	}
	if plain, later := strings.CutSuffix(word, "+"); later && licenses[plain] != "" {
		return licenses[plain] + "+"
	}
	return ""
}

// licenses makes expressions of SPDX of what packages say, and keeps what is none under IDs of its own.
type licenses struct{ extracted map[string]string } // ID -> the package's words

// declared is the expression for all licences of a package.
func (l *licenses) declared(all []string) string {
	var parts []string
	for _, words := range all {
		e := expression{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(words)), licenses: &licenses{map[string]string{}}}
		part, ok := e.or(0)
		if !ok || len(e.words) > 0 {
			part = l.extract(words)
		} else {
			for id, words := range e.extracted {
				l.extracted[id] = words
			}
		}
		if len(all) > 1 && strings.Contains(part, " OR ") {
			part = "(" + part + ")"
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return cmp.Or(strings.Join(parts, " AND "), noAssertion)
}

var notOfIDs = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// licenseRef begins an ID that a document gives.
const licenseRef = "LicenseRef-"

// extract keeps words and returns their ID. Words that are one but for characters have IDs of different ends.
func (l *licenses) extract(words string) string {
	id := strings.TrimPrefix(words, licenseRef)
	if plain := strings.Trim(notOfIDs.ReplaceAllString(id, "-"), "-"); plain != id || id == "" || len(id) > 60 {
		sum := sha256.Sum256([]byte(id))
		id = strings.TrimPrefix(plain[:min(len(plain), 50)]+"-"+hex.EncodeToString(sum[:4]), "-")
	}
	l.extracted[licenseRef+id] = words
	return licenseRef + id
}

// expression is what is left of a licence's words: those of SPDX's grammar, whose operators other packages write small.
// Source: SPDX 2.3, annex D.
type expression struct {
	*licenses

	words []string
}

// next takes the next word if it is one of those.
func (e *expression) next(words ...string) bool {
	if len(e.words) == 0 || !slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, e.words[0]) }) {
		return false
	}
	e.words = e.words[1:]
	return true
}

// maxParentheses bounds how deep they stand in each other.
const maxParentheses = 20

func (e *expression) or(depth int) (string, bool) {
	return e.list("OR", func() (string, bool) {
		return e.list("AND", func() (string, bool) { return e.term(depth) })
	})
}

func (e *expression) list(operator string, each func() (string, bool)) (string, bool) {
	text, ok := each()
	for ok && e.next(operator) {
		var more string
		more, ok = each()
		text += " " + operator + " " + more
	}
	return text, ok
}

func (e *expression) term(depth int) (string, bool) {
	if e.next("(") {
		text, ok := e.or(depth + 1)
		return "(" + text + ")", ok && depth < maxParentheses && e.next(")")
	}
	if len(e.words) == 0 || e.next("AND", "OR", "WITH", ")") || strings.ContainsAny(e.words[0], ",;/:") {
		return "", false
	}
	word := e.words[0]
	e.words = e.words[1:]
	id := licenseID(word)
	if id == "" {
		id = e.extract(word)
	}
	if !e.next("WITH") {
		return id, true
	}
	_, exceptions := known()
	if len(e.words) == 0 || exceptions[strings.ToLower(e.words[0])] == "" || strings.HasPrefix(id, licenseRef) {
		return "", false
	}
	exception := exceptions[strings.ToLower(e.words[0])]
	e.words = e.words[1:]
	return id + " WITH " + exception, true
}
