// SPDX-License-Identifier: Apache-2.0

package view

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// wrapper is a program that does nothing but start the one behind its options.
type wrapper struct {
	flags, valued string          // options of one letter, and those that take a word
	long          map[string]bool // options of more, and whether they take a word
	assigns       bool            // NAME=VALUE may follow
	words         int             // that come before the program
}

var (
	tini     = wrapper{flags: "gsvw", valued: "pe"}
	dropper  = wrapper{words: 1} // USER PROGRAM
	wrappers = map[string]wrapper{
		"tini": tini, "tini-static": tini, "docker-init": tini,
		"dumb-init": {flags: "cv", valued: "r", long: map[string]bool{"single-child": false, "verbose": false, "rewrite": true}},
		"env":       {flags: "v", valued: "u", long: map[string]bool{"unset": true}, assigns: true},
		"nohup":     {},
		"gosu":      dropper, "su-exec": dropper,
	}
)

var (
	python      = regexp.MustCompile(`^python[0-9.]*$`)
	pythonFlags = regexp.MustCompile(`^-[bBdEiIOPqsSuvx]+$`)
	shells      = []string{"sh", "bash", "dash", "ash"}
	shellFlags  = regexp.MustCompile(`^-[ceouvx]+$`)
	plainName   = regexp.MustCompile(`^[A-Za-z0-9_./+@%:,-]+$`)
	plainWord   = regexp.MustCompile(`^[A-Za-z0-9_./+@%:,=-]+$`)
)

// shellWords are no programs to a shell, or not only: keywords and built-ins of bash and
// of POSIX.
var shellWords = strings.Fields(`. : [ alias bg bind break builtin caller case cd command compgen complete compopt
	continue coproc declare dirs disown do done echo elif else enable esac eval exec exit export false fc fg fi for
	function getopts hash help history if in jobs kill let local logout mapfile popd printf pushd pwd read readarray
	readonly return select set shift shopt source suspend test then time times trap true type typeset ulimit umask
	unalias unset until wait while`)

// behind returns what a program starts or reads that is known to do just that: the words
// of another program, or the path of a script. Where there is doubt it returns neither.
func (s *starter) behind(p string, words []string) (next []string, reads string) {
	name, args := path.Base(words[0]), words[1:]
	w, known := wrappers[name]
	switch {
	case known:
		return w.behind(args), ""
	case python.MatchString(name):
		return nil, pythonScript(args)
	case slices.Contains(shells, name):
		next, reads = shellStarts(args)
		if len(next) > 0 && !strings.Contains(next[0], "/") && (path.Base(p) == "busybox" || envOf(s.config, "BASH_ENV") != "") {
			return nil, "" // which know more than PATH
		}
		return next, reads
	}
	return nil, ""
}

func (w *wrapper) behind(args []string) []string {
	if w.assigns {
		args = splitString(args)
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		option := args[0]
		if args = args[1:]; option == "--" {
			break
		}
		taken, ok := w.takes(option)
		if !ok || taken > len(args) {
			return nil
		}
		args = args[taken:]
	}
	for w.assigns && len(args) > 0 && strings.Contains(args[0], "=") {
		if strings.HasPrefix(args[0], "PATH=") || strings.HasPrefix(args[0], "LD_") {
			return nil
		}
		args = args[1:]
	}
	if args = args[min(w.words, len(args)):]; len(args) == 0 || args[0] == "" {
		return nil
	}
	return args
}

// takes returns how many words an option takes that follow it; ok is false if it is not known.
func (w *wrapper) takes(option string) (n int, ok bool) {
	if name, found := strings.CutPrefix(option, "--"); found {
		name, _, attached := strings.Cut(name, "=")
		value, ok := w.long[name]
		if value && !attached {
			n = 1
		}
		return n, ok
	}
	for i, letter := range option[1:] {
		switch {
		case strings.ContainsRune(w.flags, letter):
		case !strings.ContainsRune(w.valued, letter):
			return 0, false
		case i == len(option)-2:
			return 1, true
		default:
			return 0, true
		}
	}
	return 0, len(option) > 1
}

// splitString does what env does for "-S": its value is several words.
func splitString(args []string) []string {
	if len(args) == 0 {
		return args
	}
	value, ok := strings.CutPrefix(args[0], "-S")
	if !ok {
		return args
	}
	args = args[1:]
	if value == "" && len(args) > 0 {
		value, args = args[0], args[1:]
	}
	if strings.ContainsAny(value, "\\\"'$#") {
		return nil
	}
	return slices.Concat(strings.Fields(value), args)
}

// pythonScript returns the script that is python's first operand.
func pythonScript(args []string) string {
	for len(args) > 0 && pythonFlags.MatchString(args[0]) {
		args = args[1:]
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || !strings.HasSuffix(args[0], ".py") || !plainName.MatchString(args[0]) {
		return ""
	}
	return inFolder(args[0])
}

// inFolder makes a relative path one that is not looked for on PATH.
func inFolder(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return "./" + name
}

// shellStarts returns the program that a shell's command begins with, or its script.
func shellStarts(args []string) (next []string, reads string) {
	command := false
	for len(args) > 0 && shellFlags.MatchString(args[0]) {
		flags := args[0]
		args = args[1:]
		command = command || strings.Contains(flags, "c")
		if strings.Contains(flags, "o") {
			args = args[min(1, len(args)):]
		}
	}
	switch {
	case len(args) == 0 || strings.HasPrefix(args[0], "-"):
		return nil, ""
	case command:
		return firstCommand(args[0]), ""
	case strings.Contains(args[0], "/"):
		return nil, args[0]
	}
	return nil, ""
}

// firstCommand returns the first words of a shell's command, if it is only one and begins
// with the plain name of a program.
func firstCommand(command string) []string {
	words := strings.Fields(command)
	if len(words) > 0 && words[0] == "exec" {
		words = words[1:]
	}
	if len(words) == 0 || strings.ContainsAny(command, ";&|<>()`\n") || strings.HasPrefix(words[0], "-") ||
		!plainName.MatchString(words[0]) || slices.Contains(shellWords, words[0]) {
		return nil
	}
	if i := slices.IndexFunc(words, func(w string) bool { return !plainWord.MatchString(w) }); i >= 0 {
		words = words[:i]
	}
	return words
}
