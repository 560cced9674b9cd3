// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"cmp"
	"io"
	"path"
	"strings"
)

// PkgInfo is the record in a package of pacman or apk, which is a compressed tar.
const PkgInfo = ".PKGINFO"

// pacmanFile reads a file of pacman's database, which has a folder NAME-VERSION-RELEASE for each package,
// with files of sections that begin with a line %SECTION%. Of those that it does not know it reads none.
func pacmanFile(p string, aside bool) func(io.Reader, Sink) error {
	dir, base := path.Split(p)
	name, version, ok := splitPacman(path.Base(dir))
	switch {
	case ok && base == "desc" || aside:
		return func(r io.Reader, s Sink) error { return readDesc(r, s, name, version) }
	case ok && base == "files":
		return func(r io.Reader, s Sink) error { return readFiles(r, s, name, version) }
	}
	return nil
}

// readDesc reads the file desc of a folder, which is that of name and version if it is one of a package.
// What the file leaves out, the folder says.
func readDesc(r io.Reader, s Sink, name, version string) error {
	folder, why := name, ""
	said, more := map[string]string{}, Package{}
	err := pacmanSections(r, func(section, line string) {
		switch _, twice := said[section]; {
		case section != "%NAME%" && section != "%VERSION%":
			more.section(section, line)
		case twice:
			why = "a second line in " + section
		case section == "%NAME%" && folder != "" && line != folder:
			why = "another name than that of its folder"
			fallthrough
		default:
			said[section] = line
		}
	})
	more.Name, more.Version = cmp.Or(said["%NAME%"], name), cmp.Or(said["%VERSION%"], version)
	s.Installed(more)
	return damaged(err, why)
}

// section takes what else a line of desc says.
func (p *Package) section(section, line string) {
	switch section {
	case "%ARCH%":
		p.Arch = line
	case "%BASE%":
		p.Source = line
	case "%LICENSE%":
		if len(p.Licenses) < maxLicenses {
			p.Licenses = append(p.Licenses, one(line)...)
		}
	}
}

// readFiles reads the file files.
func readFiles(r io.Reader, s Sink, name, version string) error {
	s.Known(name, version)
	return pacmanSections(r, func(section, line string) {
		if section == "%FILES%" && !strings.HasSuffix(line, "/") {
			s.Owns(name, line)
		}
	})
}

// pacmanSections calls each for every line of a section; empty ones stand between them.
func pacmanSections(r io.Reader, each func(section, line string)) error {
	var section, why string
	err := lines(r, func(line string) {
		switch {
		case len(line) > 2 && line[0] == '%' && line[len(line)-1] == '%':
			section = line
		case line != "" && section == "":
			why = "a line in front of its sections"
		case line != "":
			each(section, line)
		}
	})
	return damaged(err, why)
}

// splitPacman splits the name of a folder: version and release are behind the last two dashes.
func splitPacman(folder string) (name, version string, ok bool) {
	release := strings.LastIndexByte(folder, '-')
	if release < 1 {
		return "", "", false
	}
	at := strings.LastIndexByte(folder[:release], '-')
	if at < 1 {
		return "", "", false
	}
	return folder[:at], folder[at+1:], true
}

// readPkgInfo reads a record of [PkgInfo].
func readPkgInfo(r io.Reader, s Sink) error {
	var name, version string
	err := lines(r, func(line string) {
		switch key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) {
		case "pkgname":
			name = strings.TrimSpace(value)
		case "pkgver":
			version = strings.TrimSpace(value)
		}
	})
	s.Installed(Package{Name: name, Version: version})
	return err
}
