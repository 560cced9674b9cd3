// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rpmdb"
)

// maxRPMDatabase bounds a database that is held in memory, in bytes.
const maxRPMDatabase = 128 << 20

// record reads p if it is the record of a package manager or of the linker. What stands
// at the path of a text and cannot be one is a file like others.
func (b *builder) record(p string, text, inPackage bool, head []byte, h *tar.Header, body io.Reader) (handled bool, err error) {
	if p == loader.Cache {
		return true, b.linkerCache(p, h.Size, body)
	}
	if text && !inPackage {
		if handled, err := b.says(p, head, body); handled {
			return true, err
		}
	}
	db, ok := pkgdb.Find(p, head, text, inPackage)
	switch {
	case db.Of == pkgdb.Portage:
		b.portage(p)
		return false, nil
	case !ok:
		return false, nil
	case db.Of == pkgdb.RPM:
		return true, b.rpmDatabase(p, db, h.Size, body)
	}
	return true, b.database(p, db, body)
}

// portage notes a package of Gentoo's: the first file of its folder stands for all.
func (b *builder) portage(p string) {
	folder, name, version, ok := pkgdb.PortagePackage(p)
	if !ok || folder == b.lastPortage {
		return
	}
	b.lastPortage = strings.Clone(folder)
	set := PackageSet{Path: p, of: pkgdb.Portage}
	b.installed(&set, pkgdb.Package{Name: name, Version: version})
	set.list.Path = path.Join(path.Dir(p), "CONTENTS") // which all of them have
	b.packages(set)
}

// database reads a database at p, "" for one that is no file. Packages have their own record in them.
func (b *builder) database(p string, db pkgdb.Database, body io.Reader) error {
	set := PackageSet{Path: p, Aside: db.Aside, of: db.Of}
	if db.Own {
		set.Path = ""
	}
	err := b.readRecord(p, body, db.Aside, func(r io.Reader) error { return db.Read(r, b.sink(&set)) })
	b.packages(set)
	return err
}

// sink keeps what is installed in set.
func (b *builder) sink(set *PackageSet) pkgdb.Sink {
	var files []string // of the next package
	return pkgdb.Sink{
		Installed: func(p pkgdb.Package) {
			b.installed(set, p)
			for _, file := range files {
				b.owns(p.Name, file)
			}
			files = nil
		},
		Known: b.version,
		Owns: func(pkg, file string) {
			if file = Clean(file); pkg != "" {
				b.owns(pkg, file)
			} else if b.ownable(file) && b.budget.owners.keep(len(file)) {
				files = append(files, file)
			}
		},
	}
}

// rpmDatabase reads rpm's database from memory.
func (b *builder) rpmDatabase(p string, db pkgdb.Database, size int64, body io.Reader) error {
	if size > maxRPMDatabase {
		b.unreadable(p, fmt.Sprintf("package record of more than %d bytes", maxRPMDatabase))
		return nil
	}
	return held(size, body, func(data []byte) {
		set := PackageSet{Path: p, Aside: db.Aside, of: db.Of}
		sink := b.sink(&set)
		err := rpmdb.Read(data, func(pkg rpmdb.Package) {
			sink.Installed(listedRPM(pkg))
			pkg.Files(func(file string) { sink.Owns(pkg.Name, file) })
		})
		b.packages(set)
		if err != nil {
			b.unreadable(p, fmt.Sprintf("package record: %v", err))
		}
	})
}

// One file of more than smallRecord bytes is held at a time, of whatever layer, and the tables
// of one program beside the rest of it: there is memory for one.
const smallRecord = 4 << 20

var largeRecord sync.Mutex

// held calls use with a file of size bytes in memory. The error is that of body.
func held(size int64, body io.Reader, use func([]byte)) error {
	if size == 0 {
		return nil
	}
	if size > smallRecord {
		largeRecord.Lock()
		defer largeRecord.Unlock()
		defer debug.FreeOSMemory()
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(body, data); err != nil {
		return err
	}
	use(data)
	return nil
}
