// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/cudabuild/cudabuild/matrix"
)

// checkPinned refuses cells with a package whose version no document gives: what the
// repository has on the day is not the same image twice.
func checkPinned(cells []matrix.Cell) error {
	var first string
	others := -1
	for _, c := range cells {
		if len(c.Unsourced) == 0 {
			continue
		}
		if others++; others == 0 {
			first = fmt.Sprintf("cell %s: no document gives the version of %s", c.ID, strings.Join(c.Unsourced, ", "))
		}
	}
	if first == "" {
		return nil
	}
	if others > 0 {
		first += fmt.Sprintf(" (%d other cells have such packages too)", others)
	}
	return &exitError{
		code: exitUsage, err: fmt.Errorf("%s", first),
		hint: "leave it out, pin it in a recipe of your own (--recipes DIR), or take whatever the repository has with --unpinned",
	}
}
