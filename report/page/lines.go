// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/report"
)

// mostItems bounds what stands there to do before a reader asks for more.
const mostItems = 16

// line is something to do. Images that its sentence names are links in it, the others stand below it.
type line struct {
	report.Item
	Pieces []piece
	Others []string
}

// piece is a part of a sentence.
type piece struct {
	Text  string
	Image bool // it is the ID of one
}

// counts says how many of some lines have which state, the worst first: "2 failed, 14 warned".
func counts(lines []line) string {
	var all []string
	for i := len(states) - 1; i >= 0; i-- {
		n := 0
		for _, l := range lines {
			if l.State == states[i].State {
				n++
			}
		}
		if n > 0 {
			all = append(all, strconv.Itoa(n)+" "+states[i].Word)
		}
	}
	return list(all)
}

// lines are all things to do, those that stand there at once and the others.
func lines(items []report.Item) (shown, more []line) {
	all := make([]line, 0, len(items))
	for _, item := range items {
		l := line{Item: item, Pieces: pieces(item.Text, item.Images)}
		for _, id := range item.Images {
			if !slices.Contains(l.Pieces, piece{id, true}) {
				l.Others = append(l.Others, id)
			}
		}
		all = append(all, l)
	}
	n := min(mostItems, len(all))
	return all[:n], all[n:]
}

// pieces cuts a sentence at the IDs that it names.
func pieces(text string, ids []string) []piece {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // 12.4-base-debian13 before 12.4-base-debian1
	var all []piece
	from := 0
	for at := 0; at < len(text); {
		i := slices.IndexFunc(ids, func(id string) bool {
			return strings.HasPrefix(text[at:], id) && (at == 0 || !inName(text[at-1:])) && !inName(text[at+len(id):])
		})
		if i < 0 {
			at++
			continue
		}
		if at > from {
			all = append(all, piece{Text: text[from:at]})
		}
		all = append(all, piece{ids[i], true})
		at += len(ids[i])
		from = at
	}
	if from < len(text) {
		all = append(all, piece{Text: text[from:]})
	}
	return all
}

// inName reports whether a text begins with what an ID may go on with; a full stop is one only before more of it.
func inName(text string) bool {
	letter := func(i int) bool {
		return i < len(text) && (text[i] == '-' || '0' <= text[i] && text[i] <= '9' || 'A' <= text[i] && text[i] <= 'Z' || 'a' <= text[i] && text[i] <= 'z')
	}
	return letter(0) || strings.HasPrefix(text, ".") && letter(1)
}
