// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"io"
	"strings"
)

// readApk reads Alpine's database: paragraphs of one-letter fields.
func readApk(body io.Reader, s Sink) error {
	var p Package
	var dir, why string
	flush := func() {
		if p.Name != "" {
			s.Installed(p)
		}
		p, dir = Package{}, ""
	}
	err := lines(body, func(line string) {
		key, value, ok := strings.Cut(line, ":")
		switch {
		case line == "":
			flush()
			return
		case !ok || len(key) != 1:
			why = "a line that is no field"
		case key == "P" && p.Name != "":
			why = "two packages in one paragraph"
		}
		switch key {
		case "P":
			p.Name = value
		case "V":
			p.Version = value
		case "A":
			p.Arch = value
		case "L":
			p.Licenses = one(value)
		case "o":
			p.Source = value
		case "F":
			dir = value
		case "R":
			s.Owns(p.Name, dir+"/"+value)
		}
	})
	flush()
	return damaged(err, why)
}
