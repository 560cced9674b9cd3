// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// step is what made one layer, as the history says.
type step struct {
	command string
	ours    bool // of cudabuild, on top of what it starts from
}

// stepsOf returns a step for each layer; their commands are "" if the history does not fit the layers.
func stepsOf(config *v1.ConfigFile, layers int) []step {
	var all []step
	for _, h := range config.History {
		if !h.EmptyLayer {
			all = append(all, step{h.CreatedBy, h.Comment == "cudabuild"})
		}
	}
	if len(all) != layers {
		return make([]step, layers)
	}
	return all
}

// change is a step that one side alone has, beside the one that stands for it on the other; "" is none.
type stepChange struct{ old, now string }

// compareSteps returns for each layer of both sides the index of the change of its step, -1 if it is as before.
func compareSteps(old, now []step) (all []stepChange, ofOld, ofNow []int) {
	only := func(these, others []step) (at []int) {
		for i, s := range these {
			if s.command != "" && !slices.ContainsFunc(others, func(o step) bool { return o.command == s.command || o.command == "" }) {
				at = append(at, i)
			}
		}
		return at
	}
	ofOld, ofNow = slices.Repeat([]int{-1}, len(old)), slices.Repeat([]int{-1}, len(now))
	gone, come := only(old, now), only(now, old)
	for i := range max(len(gone), len(come)) {
		var c stepChange
		if i < len(gone) {
			c.old, ofOld[gone[i]] = old[gone[i]].command, i
		}
		if i < len(come) {
			c.now, ofNow[come[i]] = now[come[i]].command, i
		}
		all = append(all, c)
	}
	return all, ofOld, ofNow
}

// words are those that one of both steps alone has.
func (c stepChange) words() (gone, come []string) {
	old, now := strings.Fields(c.old), strings.Fields(c.now)
	only := func(these, others []string) (all []string) {
		for _, w := range these {
			if !slices.Contains(others, w) {
				all = append(all, w)
			}
		}
		return all
	}
	return only(old, now), only(now, old)
}

// names reports whether a word in which the steps differ is of a package: "bash", "bash=5.2".
func (c stepChange) names(pkg string) bool {
	gone, come := c.words()
	return slices.ContainsFunc(slices.Concat(gone, come), func(w string) bool {
		name := strings.FieldsFunc(w, func(r rune) bool { return r == '=' || r == ':' })
		return len(name) > 0 && (name[0] == pkg || strings.HasPrefix(w, pkg+"-") && strings.ContainsAny(w, "0123456789"))
	})
}

// maxWords is how much of a step is shown, in characters.
const maxWords = 160

// String says it in one line: "apt install: +libnvtoolsext1".
func (c stepChange) String() string {
	switch {
	case c.old == "":
		return short("new step: " + c.now)
	case c.now == "":
		return short("step is gone: " + c.old)
	}
	gone, come := c.words()
	var text []string
	for _, w := range come {
		text = append(text, "+"+w)
	}
	for _, w := range gone {
		text = append(text, "-"+w)
	}
	head := strings.Fields(c.now)
	if len(text) == 0 {
		return short("other order of words: " + c.now)
	}
	return short(fmt.Sprintf("%s: %s", strings.Join(head[:min(2, len(head))], " "), strings.Join(text, " ")))
}

func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > maxWords {
		return string(r[:maxWords-3]) + "..."
	}
	return text
}
