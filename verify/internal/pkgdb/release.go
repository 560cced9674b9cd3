// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"io"
	"path"
	"slices"
	"strings"
)

// Release is the distribution that an image says it is, as os-release(5) has it.
type Release struct {
	ID      string `json:"id,omitempty"`      // "debian"
	Version string `json:"version,omitempty"` // "12", "" for one that has none
}

// ReleaseFiles are where that is looked for, the first that is there. Mostly they are links.
var ReleaseFiles = []string{"etc/os-release", "usr/lib/os-release"}

// IsRelease reports whether a file may be one that [ReleaseFiles] lead to.
func IsRelease(p string) bool {
	dir, base := path.Split(p)
	return strings.HasPrefix(base, "os-release") && slices.Contains([]string{"etc/", "usr/lib/", "usr/lib/os.release.d/"}, dir)
}

// ReadRelease reads such a file.
func ReadRelease(r io.Reader) (is Release) {
	_ = lines(r, func(line string) {
		key, value, _ := strings.Cut(line, "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			is.ID = value
		case "VERSION_ID":
			is.Version = value
		}
	})
	return is
}
