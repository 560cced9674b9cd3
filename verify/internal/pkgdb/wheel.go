// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"io"
	"path"
	"strings"
)

// wheelRecord reads the file RECORD in a folder NAME-VERSION.dist-info: a line for each file of a Python
// package, from the folder that this one is in. Wheels that were repaired carry copies of libraries, libcuda among them.
func wheelRecord(dir string) func(io.Reader, Sink) error {
	name, version, _ := strings.Cut(strings.TrimSuffix(path.Base(dir), ".dist-info"), "-")
	return func(r io.Reader, s Sink) error {
		s.Known(name, version)
		return lines(r, func(line string) {
			file, _, _ := strings.Cut(line, ",")
			s.Owns(name, path.Dir(dir)+"/"+file)
		})
	}
}
