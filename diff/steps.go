// SPDX-License-Identifier: Apache-2.0

package diff

import (
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
type stepChange struct {
	old, now string
	cause    int             // none until it is asked for
	packages map[string]bool // that one of both alone asks for, or in another version
}

// compareSteps returns for each step of both sides the index of its change, -1 if it is as before. A step stands for the next one
// of the same program.
func compareSteps(old, now []step) (all []stepChange, ofOld, ofNow []int) {
	ofOld, ofNow = slices.Repeat([]int{none}, len(old)), slices.Repeat([]int{none}, len(now))
	come, waiting := onlySteps(now, old), map[string][]int{}
	for _, n := range come {
		p := program(now[n].command)
		waiting[p] = append(waiting[p], n)
	}
	add := func(old, now string) {
		all = append(all, stepChange{old, now, none, askedByOne(old, now)})
	}
	for _, g := range onlySteps(old, now) {
		ofOld[g] = len(all)
		p, is := program(old[g].command), ""
		if next := waiting[p]; len(next) > 0 {
			is, ofNow[next[0]], waiting[p] = now[next[0]].command, len(all), next[1:]
		}
		add(old[g].command, is)
	}
	for _, n := range come {
		if ofNow[n] == none {
			ofNow[n] = len(all)
			add("", now[n].command)
		}
	}
	return all, ofOld, ofNow
}

// onlySteps are the indexes of steps that others lack, none if one of these is not known.
func onlySteps(these, others []step) (at []int) {
	has := map[string]bool{"": true}
	for _, o := range others {
		if o.command == "" {
			return nil
		}
		has[o.command] = true
	}
	for i, s := range these {
		if !has[s.command] {
			at = append(at, i)
		}
	}
	return at
}

// program is the first word of a step: steps of the same one stand for each other.
func program(command string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	return word
}

// only are the words of one list that another lacks, in their order.
func only(these, others []string) []string {
	has := map[string]bool{}
	for _, w := range others {
		has[w] = true
	}
	return slices.DeleteFunc(slices.Clone(these), func(w string) bool { return has[w] })
}

// verb is what package managers are told to do with the packages that follow, as far as their command goes.
var verb = regexp.MustCompile(`(?:^|\s)(?:install|reinstall|add|remove|purge|del|erase|upgrade|update|downgrade|-S\w*|-i)\s([^;&|]*)|--include=(\S+)`)

// asked are the words of a step that tell a package manager what to install or remove: "bash", "bash=5.2".
func asked(step string) (all []string) {
	for _, m := range verb.FindAllStringSubmatch(step, -1) {
		all = append(all, strings.FieldsFunc(m[1]+m[2], func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`,"'`, r) })...)
	}
	return all
}

// In a word, what may follow the name of a package: a version as apt, apk, pip and conda write it, an architecture, a suite; and a
// version as rpm writes it, where the name alone tells which of the dashes it is.
var (
	afterName  = regexp.MustCompile(`[=~<>!:/@\[].*`)
	rpmVersion = regexp.MustCompile(`-[0-9]`)
)

// maxPackage is the longest word that is taken for a package, in bytes.
const maxPackage = 256

// askedByOne are the packages that one of two steps alone asks for, or in another version.
func askedByOne(old, now string) map[string]bool {
	all := map[string]bool{}
	a, b := asked(old), asked(now)
	for _, word := range slices.Concat(only(a, b), only(b, a)) {
		if len(word) > maxPackage {
			continue
		}
		name := afterName.ReplaceAllString(word, "")
		all[name] = true
		for _, at := range rpmVersion.FindAllStringIndex(name, -1) {
			all[name[:at[0]]] = true
		}
	}
	return all
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
	old, now := strings.Fields(c.old), strings.Fields(c.now)
	text := []string{strings.Join(now[:min(2, len(now))], " ") + ":"}
	for _, w := range only(now, old) {
		text = append(text, "+"+w)
	}
	for _, w := range only(old, now) {
		text = append(text, "-"+w)
	}
	switch {
	case slices.Equal(old, now):
		return short("other spaces: " + c.now)
	case len(text) == 1:
		return short("other order of words: " + c.now)
	}
	return short(strings.Join(text, " "))
}

func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > maxWords {
		return string(r[:maxWords-3]) + "..."
	}
	return text
}
