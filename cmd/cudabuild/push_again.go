// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cudabuild/cudabuild/plan"
)

// The flags that another push needs, too: whatever it does, to go on with a run, which knows the rest, and to publish
// the same images.
var (
	ofAnyPush    = []string{"out", "auth-realm"}
	ofResume     = []string{"file", "recipes", "release", "record", "ledger", "sign-key"}
	ofSameImages = []string{"group", "only", "supported", "evidence", "older", "fewer-platforms", "read-back"}
)

// pushAgain returns what makes the command line of another push, after one of this command to a repository: do is what
// it is to do with a run, "--resume", or "" for one of its own.
func pushAgain(cmd *cobra.Command, to string) func(do, run string) string {
	return func(do, run string) string {
		words, flags := []string{"cudabuild", "push"}, ofAnyPush
		switch do {
		case "--undo", "--abandon":
		case "--resume":
			flags = slices.Concat(flags, ofResume)
		default:
			words, flags = append(words, to), slices.Concat(flags, ofResume, ofSameImages)
		}
		if do != "" {
			words = append(words, do, run)
		}
		for _, name := range flags {
			if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed {
				words = append(words, given(flag)...)
			}
		}
		return strings.Join(words, " ")
	}
}

// given are the words with which a flag was given.
func given(flag *pflag.Flag) (words []string) {
	values := []string{flag.Value.String()}
	if list, several := flag.Value.(pflag.SliceValue); several {
		values = list.GetSlice()
	}
	for _, value := range values {
		switch {
		case value == "true" && flag.Value.Type() == "bool":
			words = append(words, "--"+flag.Name)
		case flag.Value.Type() == "bool":
			words = append(words, "--"+flag.Name+"="+value)
		case flag.Name == "sign-key" && !regular(value): // another pipe has another name
			words = append(words, "--"+flag.Name, "FILE")
		default:
			words = append(words, "--"+flag.Name, word(value))
		}
	}
	return words
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular()
}

// plainWord is one that every shell takes as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

func word(value string) string {
	if plainWord.MatchString(value) {
		return value
	}
	return plan.Quote(value)
}
