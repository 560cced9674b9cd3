// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
)

const (
	mostTold = 2   // states of which the sentence says more than how many images are in them
	mostWhy  = 240 // characters of a reason in it
)

// verdict counts what is well, and names what is not, the worst first.
func (m *maker) verdict() Verdict {
	images := m.doc.Images
	if len(images) == 0 {
		return Verdict{NotKnown, "The run has no images."}
	}
	v := Verdict{State: Good}
	of := map[State][]Image{}
	for _, img := range images {
		of[img.State] = append(of[img.State], img)
		if img.State.Worse(v.State) {
			v.State = img.State
		}
	}
	well := len(of[Good]) + len(of[Warned])
	parts := []string{fmt.Sprintf("%d of %s %s built, verified and tagged", well, count(len(images), "image"), are(len(images)))}
	if well == len(images) && well > 1 {
		parts[0] = fmt.Sprintf("All %d images are built, verified and tagged", well)
	}
	told := 0
	for _, state := range []State{Bad, Cancelled, Skipped, NotKnown, Warned} {
		switch list := of[state]; {
		case len(list) == 0:
		case told < mostTold:
			told++
			parts = append(parts, tell(state, list))
		default:
			parts = append(parts, counted(state, len(list)))
		}
	}
	if n := m.seenRunning(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d %s seen to run on GPUs", n, were(n)))
	}
	unread := 0
	for _, s := range m.doc.Sources {
		if s.Problem != "" {
			unread++
		}
	}
	if unread > 0 {
		parts = append(parts, count(unread, "source")+" of this report could not be read")
		if Warned.Worse(v.State) {
			v.State = Warned
		}
	}
	v.Sentence = strings.Join(parts, "; ") + "."
	return v
}

// seenRunning counts images that a GPU has run, and none failed otherwise than predicted.
func (m *maker) seenRunning() (n int) {
	for _, rows := range m.rows {
		passed := slices.ContainsFunc(rows, func(s seen) bool { return s.counts() && !s.fails })
		if passed && !slices.ContainsFunc(rows, seen.against) {
			n++
		}
	}
	return n
}

// tell says of images of one state how many there are, and of the first what it is.
func tell(state State, list []Image) string {
	first := list[0]
	why := strings.TrimSuffix(first.Why, ".")
	if runes := []rune(why); len(runes) > mostWhy {
		why = string(runes[:mostWhy]) + "…"
	}
	if len(list) == 1 {
		return first.ID + " " + why
	}
	return fmt.Sprintf("%s, the first of them %s, which %s", counted(state, len(list)), first.ID, why)
}

// counted is "2 were skipped".
func counted(state State, n int) string {
	words := map[State][2]string{
		Bad: {"failed", "failed"}, Cancelled: {"was cancelled", "were cancelled"}, Skipped: {"was skipped", "were skipped"},
		NotKnown: {"is not known to be well", "are not known to be well"}, Warned: {"has a warning", "have warnings"},
	}[state]
	return fmt.Sprintf("%d %s", n, words[min(n, 2)-1])
}

func were(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
