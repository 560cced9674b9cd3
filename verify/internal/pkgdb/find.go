// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// Find returns what a file is that begins with head, by its path and, wherever it lies, by how it
// begins: a link at the place of a database may lead to it. Of a file that cannot be a text only RPM's are
// databases. In a package there is its own record, and the rest lies where it will be. ok is false for
// what is none.
func Find(p string, head []byte, text, inPackage bool) (db Database, ok bool) {
	dir, base := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	of, rest := Of(p)
	switch {
	case of == RPM:
		return Database{Of: RPM}, true
	case of == Portage:
		return Database{Of: Portage}, false // by its path, see PortagePackage
	case !text:
		return Database{}, false
	case strings.HasPrefix(p, dpkgInfo) && strings.HasSuffix(p, ".list"):
		return Database{Of: Dpkg, read: dpkgList(strings.TrimSuffix(base, ".list"))}, true
	case p == PkgInfo && inPackage:
		return Database{Of: Pacman, Own: true, read: readPkgInfo}, true
	case base == "RECORD" && strings.HasSuffix(dir, ".dist-info"):
		return Database{Of: Wheel, read: wheelRecord(dir)}, true
	case of == Conda:
		return Database{Of: Conda, read: condaMetaFile(p)}, true
	case of == Nobody && !inPackage:
		of = like(p, head)
	}
	db = Database{Of: of, Aside: !inPackage && !IsPlace(p)}
	switch {
	case of == RPM:
		return db, true
	case of == Dpkg && !strings.HasSuffix(rest, ".md5sums"):
		db.read = readDpkg
	case of == Apk:
		db.read = readApk
	case of == Pacman:
		db.read = pacmanFile(p, db.Aside)
	}
	return db, db.read != nil
}

// DebControl is the control file of a Debian package, wherever it lies.
var DebControl = Database{Of: Dpkg, Own: true, read: readDpkg}

// like returns whose database a file is by its name and by how it begins.
func like(p string, head []byte) Manager {
	switch {
	case slices.Contains(RPMFiles, path.Base(p)) && isRPMDatabase(head):
		return RPM
	case len(head) > 8 && strings.EqualFold(string(head[:8]), "Package:"):
		return Dpkg
	case bytes.HasPrefix(head, []byte("C:Q")):
		return Apk
	case bytes.HasPrefix(head, []byte("%NAME%\n")):
		return Pacman
	}
	return Nobody
}

// isRPMDatabase knows SQLite, NDB, and the hashes of Berkeley DB in both byte orders.
func isRPMDatabase(head []byte) bool {
	return bytes.HasPrefix(head, []byte("SQLite format 3\x00")) || bytes.HasPrefix(head, []byte("RpmP")) ||
		len(head) > 16 && (string(head[12:16]) == "\x61\x15\x06\x00" || string(head[12:16]) == "\x00\x06\x15\x61")
}
