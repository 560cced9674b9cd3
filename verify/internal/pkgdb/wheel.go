// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"io"
	"strings"
)

// SplitWheel returns the package that a folder NAME-VERSION.dist-info is about.
func SplitWheel(folder string) (name, version string) {
	name, version, _ = strings.Cut(strings.TrimSuffix(folder, ".dist-info"), "-")
	return name, version
}

// ReadWheel reads the file RECORD of a Python package: a line for each of its files, beside the
// folder that RECORD is in.
func ReadWheel(r io.Reader, each func(file string)) error {
	return Lines(r, func(line string) {
		file, _, _ := strings.Cut(line, ",")
		each(file)
	})
}
