// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// step is what made one layer, or none, as the history says.
type step struct {
	command string
	ours    bool // of cudabuild, on top of what it starts from
}

// configures are the steps that only set what stands in the configuration, where it is seen.
var configures = regexp.MustCompile(`#\(nop\)|^(?:ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR)\s`)

// stepsOf returns a step for each layer, and then those that made none; their commands are "" if the history does not fit the
// layers.
func stepsOf(config *v1.ConfigFile, layers int) []step {
	var all, without []step
	for _, h := range config.History {
		s := step{h.CreatedBy, h.Comment == "cudabuild"}
		switch {
		case !h.EmptyLayer:
			all = append(all, s)
		case !configures.MatchString(h.CreatedBy):
			without = append(without, s)
		}
	}
	if len(all) != layers {
		return make([]step, layers)
	}
	return append(all, without...)
}

// stepDates are the dates of steps, by command; of one that was run twice that of the last.
func stepDates(config *v1.ConfigFile) map[string]string {
	all := map[string]string{}
	for _, h := range config.History {
		if h.CreatedBy != "" {
			all[h.CreatedBy] = stamp(h.Created.Time)
		}
	}
	return all
}

// stepChange is a step that one side alone has, beside the one that stands for it on the other; "" is none.
type stepChange struct{ old, now string }

// compareSteps returns for each step of both sides the index of its change, -1 if it is as before.
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
	come := only(now, old)
	for _, g := range only(old, now) {
		c := stepChange{old: old[g].command}
		ofOld[g] = len(all)
		alike := func(n int) bool { return program(now[n].command) == program(c.old) }
		if i := slices.IndexFunc(come, alike); i >= 0 {
			c.now, ofNow[come[i]] = now[come[i]].command, len(all)
			come = slices.Delete(come, i, i+1)
		}
		all = append(all, c)
	}
	for _, n := range come {
		ofNow[n] = len(all)
		all = append(all, stepChange{now: now[n].command})
	}
	return all, ofOld, ofNow
}

// program is the first word of a step: steps of the same one stand for each other.
func program(command string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	return word
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

// verb is what package managers are told to do with the packages that follow, as far as their command goes.
var verb = regexp.MustCompile(`(?:^|\s)(?:install|reinstall|add|remove|purge|del|erase|upgrade|update|downgrade|-S\w*|-i)\s([^;&|]*)|--include=(\S+)`)

// asked are the words of a step that tell a package manager what to install or remove: "bash", "bash=5.2".
func asked(step string) (all []string) {
	for _, m := range verb.FindAllStringSubmatch(step, -1) {
		all = append(all, strings.FieldsFunc(m[1]+m[2], func(r rune) bool { return unicode.IsSpace(r) || r == ',' })...)
	}
	return all
}

// asks reports whether one of both steps alone asks for a package, or for that version of it.
func (c stepChange) asks(pkg string) bool {
	old, now := asked(c.old), asked(c.now)
	return slices.ContainsFunc(slices.Concat(old, now), func(w string) bool {
		name, _, _ := strings.Cut(strings.ReplaceAll(w, "=", ":"), ":")
		is := name == pkg || strings.HasPrefix(w, pkg+"-") && strings.ContainsAny(w, "0123456789")
		return is && slices.Contains(old, w) != slices.Contains(now, w)
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
	if slices.Equal(strings.Fields(c.old), strings.Fields(c.now)) {
		return short("other spaces: " + c.now)
	}
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
