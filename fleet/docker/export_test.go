// SPDX-License-Identifier: Apache-2.0

package docker

import "time"

// For tests.
const Repository = repository

var NewMark = newMark

// Abandoned reports whether a mark is one, and abandoned.
func Abandoned(text string, now time.Time) (ok, abandoned bool) {
	m, ok := parseMark(text)
	return ok, ok && m.abandoned(now)
}
