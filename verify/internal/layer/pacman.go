// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"cmp"
	"io"
	"path"

	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
)

// pacman reads p if it is part of pacman's database. The folder's name says what desc leaves out.
func (w *walker) pacman(p string, body io.Reader) (handled bool, err error) {
	dir, base := path.Split(p)
	name, version, ok := pkgdb.SplitPacman(path.Base(dir))
	aside := !pkgdb.IsPlace(p)
	switch {
	case ok && base == "desc" || aside:
		set := PackageSet{Path: p, Aside: aside, of: "pacman"}
		err = w.readRecord(p, body, aside, func(r io.Reader) error {
			n, v, err := pkgdb.ReadDesc(r)
			name, version = cmp.Or(n, name), cmp.Or(v, version)
			return err
		})
		w.installed(&set, name, version)
		w.packages(set)
		return true, err
	case ok && base == "files":
		w.version(name, version)
		return true, w.readRecord(p, body, false, func(r io.Reader) error {
			return pkgdb.ReadFiles(r, func(file string) { w.owns(name, Clean(file)) })
		})
	}
	return false, nil
}

// packageInfo says which package an archive is that has a record of its own.
func (w *walker) packageInfo(body io.Reader) error {
	set := PackageSet{of: "pacman"}
	err := w.readRecord(pkgdb.PkgInfo, body, false, func(r io.Reader) error {
		name, version, err := pkgdb.ReadPkgInfo(r)
		w.installed(&set, name, version)
		return err
	})
	w.packages(set)
	return err
}
