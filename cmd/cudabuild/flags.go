// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// mayBeEmpty are the flags to which an empty value says something. To any other it is that of a variable that is not
// set, and does not mean that the flag was left away: no key checks no signature.
var mayBeEmpty = []string{"builder", "debian-mirror", "entrypoint"}

// checkFlags refuses flags that are given without a value, or with others that they do not go with.
func checkFlags(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if err == nil {
			err = checkFlag(cmd, flag)
		}
	})
	return err
}

func checkFlag(cmd *cobra.Command, flag *pflag.Flag) error {
	if isEmpty(flag.Value) && !slices.Contains(mayBeEmpty, flag.Name) {
		return fmt.Errorf("--%s is empty", flag.Name)
	}
	for _, other := range flag.Annotations[apartFrom] {
		if cmd.Flags().Changed(other) {
			return fmt.Errorf("--%s and --%s do not go together", flag.Name, other)
		}
	}
	for _, other := range flag.Annotations[neededBy] {
		if !cmd.Flags().Changed(other) {
			return fmt.Errorf("--%s says nothing without --%s", flag.Name, other)
		}
	}
	return nil
}

// isEmpty reports whether a text is empty, or one of several.
func isEmpty(value pflag.Value) bool {
	if list, several := value.(pflag.SliceValue); several {
		return len(list.GetSlice()) == 0 || slices.Contains(list.GetSlice(), "")
	}
	return value.Type() == "string" && value.String() == ""
}

// apartFrom annotates a flag with those that it does not go with.
const apartFrom = "apart"

// apart has a command refuse more than one of these flags.
func apart(cmd *cobra.Command, names ...string) {
	for i, name := range names {
		flag := cmd.Flags().Lookup(name)
		others := append(flag.Annotations[apartFrom], slices.Delete(slices.Clone(names), i, i+1)...)
		_ = cmd.Flags().SetAnnotation(name, apartFrom, others) // there is such a flag
	}
}

// neededBy annotates a flag with one without which it says nothing.
const neededBy = "needed"

// onlyWith has a command refuse flags that are given without another one.
func onlyWith(cmd *cobra.Command, other string, names ...string) {
	for _, name := range names {
		_ = cmd.Flags().SetAnnotation(name, neededBy, []string{other}) // there is such a flag
	}
}
