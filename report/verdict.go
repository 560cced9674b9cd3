// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
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
	for _, state := range []State{Bad, Cancelled, Skipped, NotKnown, Warned} {
		if list := of[state]; len(list) > 0 {
			parts = append(parts, tell(state, list))
		}
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

// tell says of images of one state how many there are, and of one what it is.
func tell(state State, list []Image) string {
	first := list[0]
	if len(list) == 1 {
		return first.ID + " " + strings.TrimSuffix(first.Why, ".")
	}
	words := map[State]string{Bad: "failed", Cancelled: "were cancelled", Skipped: "were skipped", NotKnown: "are not known to be well", Warned: "have warnings"}
	same := !slices.ContainsFunc(list, func(img Image) bool { return img.Why != first.Why })
	if same {
		return fmt.Sprintf("%d images (%s and others): each %s", len(list), first.ID, strings.TrimSuffix(first.Why, "."))
	}
	return fmt.Sprintf("%d %s, the first %s, which %s", len(list), words[state], first.ID, strings.TrimSuffix(first.Why, "."))
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
