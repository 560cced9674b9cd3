// SPDX-License-Identifier: Apache-2.0

// Package yamlerr takes the position out of yaml.v3's syntax errors, which have it
// in their text only.
package yamlerr

import (
	"regexp"
	"strconv"
	"strings"
)

var lineForm = regexp.MustCompile(`^line (\d+): `)

// Split returns the line that a syntax error names, counted from 1, and what it says
// without it. The line is 0 if there is none. yaml.v3 knows no columns, and may name
// the line where the construct that broke began.
func Split(err error) (line int, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	at := lineForm.FindStringSubmatch(message)
	if at == nil {
		return 0, message
	}
	line, _ = strconv.Atoi(at[1])
	message = strings.TrimPrefix(message, at[0])
	if strings.HasPrefix(message, "did not find expected ") { // its parser, unlike its scanner, counts from 0
		line++
	}
	return line, message
}
