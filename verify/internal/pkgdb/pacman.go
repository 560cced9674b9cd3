// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"io"
	"strings"
)

// PkgInfo is the record in a package of pacman or apk, which is a compressed tar.
const PkgInfo = ".PKGINFO"

// ReadDesc reads the file desc of one package of pacman's database, which has a folder
// NAME-VERSION-RELEASE for each, with files of sections that begin with a line %SECTION%.
// What it leaves out is "".
func ReadDesc(r io.Reader) (name, version string, err error) {
	err = pacmanSections(r, func(section, line string) {
		switch section {
		case "%NAME%":
			name = line
		case "%VERSION%":
			version = line
		}
	})
	return name, version, err
}

// ReadFiles reads the file files of one package.
func ReadFiles(r io.Reader, each func(file string)) error {
	return pacmanSections(r, func(section, line string) {
		if section == "%FILES%" && !strings.HasSuffix(line, "/") {
			each(line)
		}
	})
}

// pacmanSections calls each for every line of a section; empty ones stand between them.
func pacmanSections(r io.Reader, each func(section, line string)) error {
	var section, why string
	err := Lines(r, func(line string) {
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

// SplitPacman splits the name of a folder: version and release are behind the last two dashes.
func SplitPacman(folder string) (name, version string, ok bool) {
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

// ReadPkgInfo reads a record of [PkgInfo].
func ReadPkgInfo(r io.Reader) (name, version string, err error) {
	err = Lines(r, func(line string) {
		switch key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) {
		case "pkgname":
			name = strings.TrimSpace(value)
		case "pkgver":
			version = strings.TrimSpace(value)
		}
	})
	return name, version, err
}
