// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// manager is who keeps a database of what is installed.
type manager int

const (
	nobody manager = iota
	dpkg
	apk
	rpm
	pacman
	portage
	conda
)

// places are where package managers keep what is installed, of the image's root or of
// another root folder in it: files, or folders with files for each package.
var places = []struct {
	of  manager
	dir string
	in  []string // files in it; a folder of files ends in a slash
}{
	{dpkg, "var/lib/dpkg/", []string{"status", "status.d/"}}, // distroless has status.d: one file a package
	{apk, "lib/apk/db/", []string{"installed"}},
	{rpm, "var/lib/rpm/", rpmFiles},
	{rpm, "usr/lib/sysimage/rpm/", rpmFiles},
	{rpm, "usr/share/rpm/", rpmFiles},
	{pacman, "var/lib/pacman/", []string{"local/"}},
	{portage, "var/db/", []string{"pkg/"}},
}

// rpmFiles are rpm's databases in SQLite, NDB and Berkeley DB.
var rpmFiles = []string{"rpmdb.sqlite", "Packages.db", "Packages"}

// condaMeta is the folder of conda's records, in every environment.
const condaMeta = "conda-meta"

// database returns whose database p is part of by its path, and what follows the folder.
func database(p string) (of manager, rest string) {
	for _, place := range places {
		rest, ok := behind(p, place.dir)
		if ok && slices.ContainsFunc(place.in, func(in string) bool {
			return rest == in || strings.HasSuffix(in, "/") && len(rest) > len(in) && strings.HasPrefix(rest, in)
		}) {
			return place.of, rest
		}
	}
	if dir, base := path.Split(p); path.Base(dir) == condaMeta && strings.HasSuffix(base, ".json") {
		return conda, base
	}
	return nobody, ""
}

// behind returns what follows a folder in p; in front of it may be another root.
func behind(p, dir string) (rest string, ok bool) {
	at := strings.Index(p, dir)
	if at < 0 || at > 0 && p[at-1] != '/' {
		return "", false
	}
	return p[at+len(dir):], true
}

// databaseLike returns whose database a file is by its name and by how it begins, wherever it
// lies. A link at the place of a database may lead to it.
func databaseLike(p string, head []byte) manager {
	switch {
	case slices.Contains(rpmFiles, path.Base(p)) && isRPMDatabase(head):
		return rpm
	case len(head) > 8 && strings.EqualFold(string(head[:8]), "Package:"):
		return dpkg
	case bytes.HasPrefix(head, []byte("C:Q")):
		return apk
	case bytes.HasPrefix(head, []byte("%NAME%\n")):
		return pacman
	}
	return nobody
}

// isRPMDatabase knows SQLite, NDB, and the hashes of Berkeley DB in both byte orders.
func isRPMDatabase(head []byte) bool {
	return bytes.HasPrefix(head, []byte("SQLite format 3\x00")) || bytes.HasPrefix(head, []byte("RpmP")) ||
		len(head) > 16 && (string(head[12:16]) == "\x61\x15\x06\x00" || string(head[12:16]) == "\x00\x06\x15\x61")
}
