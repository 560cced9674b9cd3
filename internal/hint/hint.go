// SPDX-License-Identifier: Apache-2.0

// Package hint is about errors that know what to do next, and which exit code a command
// ends with that meets them. Such an error has a method Hint, Code or both.
package hint

import (
	"errors"
	"os"
)

// Of is what to do about an error, as the outermost one in it says that has a word; ""
// if none has.
func Of(err error) string {
	for err != nil {
		if with, ok := err.(interface{ Hint() string }); ok && with.Hint() != "" {
			return with.Hint()
		}
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			for _, one := range several.Unwrap() {
				if text := Of(one); text != "" {
					return text
				}
			}
			return ""
		}
		err = errors.Unwrap(err)
	}
	return ""
}

// Code is the exit code of an error, as the outermost one in it says that has one.
func Code(err error, otherwise int) int {
	var with interface{ Code() int }
	if errors.As(err, &with) {
		return with.Code()
	}
	return otherwise
}

// New returns an error with a hint; "" is none.
func New(text, hint string) error { return &known{text, hint} }

type known struct{ text, hint string }

func (e *known) Error() string { return e.text }
func (e *known) Hint() string  { return e.hint }

// Usage returns an error with a hint that is one of usage, exit code 2: the command line
// says what cannot be meant.
func Usage(text, hint string) error { return &misused{known{text, hint}} }

type misused struct{ known }

func (e *misused) Code() int { return 2 }

// Privileged returns an error whose hint depends on who runs the program: root is not
// told to become it.
func Privileged(text, root, others string) error {
	if os.Geteuid() == 0 {
		return New(text, root)
	}
	return New(text, others)
}
