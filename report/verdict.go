// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
)

// mostWhy is how many characters of a reason the sentence has.
const mostWhy = 200

// verdict counts what is well and what is not, and says of the worst what it is: three clauses, to be read on a phone.
func (m *maker) verdict() Verdict {
	images := m.doc.Images
	if len(images) == 0 {
		return Verdict{State: NotKnown, Sentence: "The run has no images."}
	}
	v := Verdict{State: Good}
	of := map[State]int{}
	for _, img := range images {
		of[img.State]++
		if img.State.Worse(v.State) {
			v.State = img.State
		}
	}
	well, done := of[Good]+of[Warned], "built, verified and tagged"
	if len(m.in.Absent)+len(m.in.Elsewhere) > 0 { // in the record they are, and not where they were pushed
		done = "built and verified"
	}
	first := fmt.Sprintf("%d of %s %s %s", well, count(len(images), "image"), verb("is", len(images)), done)
	if well == len(images) && well > 1 {
		first = fmt.Sprintf("All %d images are %s", well, done)
	}
	if n := m.seenRunning(); n > 0 {
		first += fmt.Sprintf(", and %d %s seen to run on GPUs", n, verb("was", n))
	}
	var counts []string
	for _, c := range []struct {
		n         int
		one, many string
	}{
		{of[Bad], "failed", "failed"},
		{of[Cancelled] + of[Skipped], "was not built", "were not built"},
		{of[NotKnown], "is not known", "are not known"},
		{of[Warned], "has a warning", "have warnings"},
	} {
		switch c.n {
		case 0:
		case 1:
			counts = append(counts, "1 "+c.one)
		default:
			counts = append(counts, fmt.Sprintf("%d %s", c.n, c.many))
		}
	}
	unread := 0
	for _, s := range m.doc.Sources {
		if s.Problem != "" {
			unread++
		}
	}
	if unread > 0 {
		counts = append(counts, count(unread, "source")+" could not be read")
	}
	more := len(counts)
	if n := len(m.gone()); n > 0 {
		counts = append(counts, fmt.Sprintf("%d of the earlier run %s missing", n, verb("is", n)))
	}
	if n := len(m.failHere); n > 0 {
		counts = append(counts, fmt.Sprintf("%d %s predicted to fail on driver branches that hosts here have", n, verb("is", n)))
	}
	warned := unread > 0 || len(counts) > more
	clauses := []string{first}
	switch one := of[Good] == len(images)-1 && !warned; {
	case one: // it is told alone
		clauses = append(clauses, m.worst(v.State))
	case v.State != Good:
		clauses = append(clauses, strings.Join(counts, ", "), "above all "+m.worst(v.State))
	case len(counts) > 0:
		clauses = append(clauses, strings.Join(counts, ", "))
	}
	if warned && Warned.Worse(v.State) {
		v.State = Warned
	}
	v.Sentence = strings.Join(clauses, "; ") + "."
	return v
}

// worst says what is wrong with one of the images of the worst state: that which is told first of what is to do.
func (m *maker) worst(state State) string {
	is := func(id string) bool {
		return slices.ContainsFunc(m.doc.Images, func(img Image) bool { return img.ID == id && img.State == state })
	}
	id := m.doc.Images[slices.IndexFunc(m.doc.Images, func(img Image) bool { return img.State == state })].ID
	for _, item := range slices.Backward(m.doc.Todo) {
		if i := slices.IndexFunc(item.Images, is); i >= 0 && item.State == state {
			id = item.Images[i]
		}
	}
	img := m.doc.Images[slices.IndexFunc(m.doc.Images, func(img Image) bool { return img.ID == id })]
	why := strings.TrimSuffix(img.Why, ".")
	if runes := []rune(why); len(runes) > mostWhy {
		why = string(runes[:mostWhy]) + "…"
	}
	return id + " " + why
}

// seenRunning counts images that are well, and that a GPU has run.
func (m *maker) seenRunning() (n int) {
	for i, rows := range m.rows {
		state := m.doc.Images[i].State
		if (state == Good || state == Warned) && slices.ContainsFunc(rows, func(s seen) bool { return s.counts() && !s.fails }) {
			n++
		}
	}
	return n
}
