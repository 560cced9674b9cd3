// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"io"
	"strings"
)

// readApk reads Alpine's database: paragraphs of one-letter fields.
func readApk(body io.Reader, s Sink) error {
	var name, version, dir, why string
	flush := func() {
		if name != "" {
			s.Installed(name, version)
		}
		name, version, dir = "", "", ""
	}
	err := lines(body, func(line string) {
		key, value, ok := strings.Cut(line, ":")
		switch {
		case line == "":
			flush()
			return
		case !ok || len(key) != 1:
			why = "a line that is no field"
		case key == "P" && name != "":
			why = "two packages in one paragraph"
		}
		switch key {
		case "P":
			name = value
		case "V":
			version = value
		case "F":
			dir = value
		case "R":
			s.Owns(name, dir+"/"+value)
		}
	})
	flush()
	return damaged(err, why)
}
