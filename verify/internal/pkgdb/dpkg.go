// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"io"
	"regexp"
	"strings"
)

// dpkgInfo has a list of files, NAME.list, for each package.
const dpkgInfo = "var/lib/dpkg/info/"

// record is one paragraph of a dpkg database.
type record struct{ name, version, status, arch, source string }

// installed reports whether files of the package may be there: not for
// "deinstall ok config-files". A record without a status is of status.d.
func (r record) installed() bool {
	fields := strings.Fields(r.status)
	return r.name != "" && (len(fields) != 3 || fields[2] != "config-files" && fields[2] != "not-installed")
}

// readDpkg reads a file of dpkg's status, or the control file of a package.
func readDpkg(body io.Reader, s Sink) error {
	var r record
	var why string
	flush := func() {
		switch {
		case r.installed():
			s.Installed(Package{Name: r.name, Version: r.version, Arch: r.arch, Source: r.source})
		case r.name == "" && r != record{}:
			why = "a paragraph without a package"
		}
		r = record{}
	}
	err := lines(body, func(line string) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "":
			flush()
		case line[0] == ' ', line[0] == '\t': // goes on with the line before
		case !fieldName.MatchString(key), len(key) == len(line):
			why = "a line that is no field"
		case strings.EqualFold(key, "Package") && r.name != "":
			why = "two packages in one paragraph"
		case strings.EqualFold(key, "Package"):
			r.name = value
		case strings.EqualFold(key, "Version"):
			r.version = value
		case strings.EqualFold(key, "Status"):
			r.status = value
		case strings.EqualFold(key, "Architecture"):
			r.arch = value
		case strings.EqualFold(key, "Source"):
			r.source, _, _ = strings.Cut(value, " ") // what follows is its version, if it has another
		}
	})
	flush()
	return damaged(err, why)
}

// dpkgList reads the list of a package's files.
func dpkgList(pkg string) func(io.Reader, Sink) error {
	pkg, _, _ = strings.Cut(pkg, ":") // libcuda1:amd64
	return func(r io.Reader, s Sink) error {
		return lines(r, func(file string) { s.Owns(pkg, file) })
	}
}

// fieldName is the name of a field of a control file, which are printable characters.
var fieldName = regexp.MustCompile(`^[!-9;-~]+$`)
