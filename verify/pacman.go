// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"io"
	"path"
	"strings"
)

// pkgInfo is the record in a package of pacman or apk, which is a compressed tar.
const pkgInfo = ".PKGINFO"

// pacman reads p if it is part of pacman's database, which has a folder NAME-VERSION-RELEASE for
// each package, with files of sections that begin with a line %SECTION%. The folder's name says what desc leaves out.
func (w *walker) pacman(p string, body io.Reader) (handled bool, err error) {
	dir, base := path.Split(p)
	name, version, ok := splitPacman(path.Base(dir))
	switch {
	case ok && base == "desc" || !isPlace(p):
		return true, w.pacmanDesc(p, name, version, body)
	case ok && base == "files":
		w.version(name, version)
		return true, w.pacmanSections(p, body, func(section, line string) {
			if section == "%FILES%" && !strings.HasSuffix(line, "/") {
				w.owns(name, clean(line))
			}
		})
	}
	return false, nil
}

func (w *walker) pacmanDesc(p, name, version string, body io.Reader) error {
	said := map[string]string{}
	err := w.pacmanSections(p, body, func(section, line string) {
		if section == "%NAME%" || section == "%VERSION%" {
			said[section] = line
		}
	})
	set := packageSet{Path: p, Aside: !isPlace(p), of: "pacman"}
	w.installed(&set, cmp.Or(said["%NAME%"], name), cmp.Or(said["%VERSION%"], version))
	w.packages(set)
	return err
}

// pacmanSections calls each for every line of a section; empty ones stand between them.
func (w *walker) pacmanSections(p string, body io.Reader, each func(section, line string)) error {
	var section, why string
	err := w.lines(p, body, func(line string) {
		switch {
		case len(line) > 2 && line[0] == '%' && line[len(line)-1] == '%':
			section = line
		case line != "" && section == "":
			why = "a line in front of its sections"
		case line != "":
			each(section, line)
		}
	})
	w.broken(packageSet{Path: p, Aside: !isPlace(p)}, why)
	return err
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

// packageInfo says which package an archive is that has a record of pkgInfo.
func (w *walker) packageInfo(body io.Reader) error {
	var name, version string
	err := w.lines(pkgInfo, body, func(line string) {
		switch key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) {
		case "pkgname":
			name = strings.TrimSpace(value)
		case "pkgver":
			version = strings.TrimSpace(value)
		}
	})
	set := packageSet{of: "pacman"}
	w.installed(&set, name, version)
	w.packages(set)
	return err
}
