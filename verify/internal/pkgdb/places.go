// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"iter"
	"path"
	"slices"
	"strings"
)

// Manager is who keeps a database of what is installed.
type Manager string

// The managers that are known.
const (
	Nobody  Manager = ""
	Dpkg    Manager = "dpkg"
	Apk     Manager = "apk"
	RPM     Manager = "rpm"
	Pacman  Manager = "pacman"
	Portage Manager = "portage"
	Conda   Manager = "conda"
	Wheel   Manager = "wheel"
)

// places are where package managers keep what is installed, of the image's root or of
// another root folder in it: files, or folders with files for each package.
var places = []struct {
	of  Manager
	dir string
	in  []string // files in it; a folder of files ends in a slash
}{
	{Dpkg, "var/lib/dpkg/", []string{"status", "status.d/"}}, // distroless has status.d: one file a package
	{Apk, "lib/apk/db/", []string{"installed"}},
	{RPM, "var/lib/rpm/", RPMFiles},
	{RPM, "usr/lib/sysimage/rpm/", RPMFiles},
	{RPM, "usr/share/rpm/", RPMFiles},
	{Pacman, "var/lib/pacman/", []string{"local/"}},
	{Portage, "var/db/", []string{"pkg/"}},
}

// RPMFiles are rpm's databases in SQLite, NDB and Berkeley DB.
var RPMFiles = []string{"rpmdb.sqlite", "Packages.db", "Packages"}

// condaMeta is the folder of conda's records, in every environment.
const condaMeta = "conda-meta"

// Of returns whose database p is part of by its path, and what follows the folder.
func Of(p string) (of Manager, rest string) {
	for _, place := range places {
		for rest := range behind(p, place.dir) {
			if slices.ContainsFunc(place.in, func(in string) bool {
				return rest == in || strings.HasSuffix(in, "/") && len(rest) > len(in) && strings.HasPrefix(rest, in)
			}) {
				return place.of, rest
			}
		}
	}
	if dir, base := path.Split(p); path.Base(dir) == condaMeta && strings.HasSuffix(base, ".json") {
		return Conda, base
	}
	return Nobody, ""
}

// behind goes through what follows a folder in p, wherever it stands there: in front of it may be another
// root, and that may lie in such a folder.
func behind(p, dir string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := 0; ; at++ {
			next := strings.Index(p[at:], dir)
			if next < 0 {
				return
			}
			at += next
			if (at == 0 || p[at-1] == '/') && !yield(p[at+len(dir):]) {
				return
			}
		}
	}
}

// Behind returns what is to be added to a path to be at the places of databases.
func Behind(p string) (rests []string) {
	if IsPlace(p) {
		return []string{""}
	}
	for _, place := range places {
		for dir := strings.TrimSuffix(place.dir, "/"); dir != "."; dir = path.Dir(dir) {
			if p != dir && (!strings.Contains(dir, "/") || !strings.HasSuffix(p, "/"+dir)) {
				continue
			}
			for _, in := range place.in {
				rests = append(rests, strings.TrimSuffix((place.dir + in)[len(dir):], "/"))
			}
		}
	}
	return rests
}

// IsPlace reports whether a database, or the files of one, are kept at p.
func IsPlace(p string) bool {
	of, _ := Of(p)
	inside, _ := Of(p + "/x")
	return of != Nobody || inside != Nobody || path.Base(p) == condaMeta
}
