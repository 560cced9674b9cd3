// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/rpmdb"
)

// Limits of records that are held in memory.
const (
	maxRPMDatabase = 128 << 20
)

// record reads p if it is the record of a package manager or of the linker. What stands
// at the path of a text and cannot be one is a file like others.
func (w *walker) record(p string, text bool, head []byte, h *tar.Header, body io.Reader) (handled bool, err error) {
	dir, base := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	of, rest := pkgdb.Of(p)
	switch {
	case of == pkgdb.RPM:
		return true, w.rpmDatabase(p, h.Size, body)
	case p == loader.Cache:
		return true, w.linkerCache(p, h.Size, body)
	case of == pkgdb.Portage:
		w.portage(p, rest)
		return false, nil
	case !text:
		return false, nil
	case strings.HasPrefix(p, pkgdb.DpkgInfo) && strings.HasSuffix(p, ".list"):
		return true, w.dpkgList(p, strings.TrimSuffix(base, ".list"), body)
	case p == pkgdb.PkgInfo && w.depth > 0:
		return true, w.packageInfo(body)
	case base == "RECORD" && strings.HasSuffix(dir, ".dist-info"):
		return true, w.wheelRecord(p, body)
	case of == pkgdb.Conda:
		return true, w.conda(p, body)
	case of == pkgdb.Nobody && w.depth == 0:
		of = pkgdb.Like(p, head)
	}
	switch {
	case of == pkgdb.RPM:
		return true, w.rpmDatabase(p, h.Size, body)
	case of == pkgdb.Dpkg && !strings.HasSuffix(rest, ".md5sums"):
		return true, w.dpkgStatus(p, body)
	case of == pkgdb.Apk:
		return true, w.apk(p, body)
	case of == pkgdb.Pacman:
		return w.pacman(p, body)
	}
	return false, nil
}

// portage notes a package of Gentoo's: the first file of its folder stands for all.
func (w *walker) portage(p, rest string) {
	folder, name, version, ok := pkgdb.PortagePackage(rest)
	if !ok || folder == w.lastPortage {
		return
	}
	w.lastPortage = strings.Clone(folder)
	set := PackageSet{Path: p}
	w.installed(&set, name, version)
	w.packages(set)
}

// rpmDatabase reads rpm's database from memory.
func (w *walker) rpmDatabase(p string, size int64, body io.Reader) error {
	if size > maxRPMDatabase {
		w.unreadable(p, fmt.Sprintf("package record of more than %d bytes", maxRPMDatabase))
		return nil
	}
	return held(size, body, func(data []byte) {
		set := PackageSet{Path: p, Aside: !pkgdb.IsPlace(p)}
		err := rpmdb.Read(data, func(pkg rpmdb.Package) {
			w.installed(&set, pkg.Name, pkg.Version)
			pkg.Files(func(file string) { w.owns(pkg.Name, Clean(file)) })
		})
		w.packages(set)
		if err != nil {
			w.unreadable(p, fmt.Sprintf("package record: %v", err))
		}
	})
}

// conda reads the record of one conda package.
func (w *walker) conda(p string, body io.Reader) error {
	counted := &readers.Counter{R: body}
	var files []string
	prefix := path.Dir(path.Dir(p))
	name, version, err := pkgdb.ReadConda(counted, func(file string) {
		if file = Clean(prefix + "/" + file); w.ownable(file) && w.budget.owners.keep(len(file)) {
			files = append(files, file)
		}
	})
	if counted.Err != nil {
		return counted.Err
	}
	if err != nil {
		if errors.Is(err, pkgdb.ErrLong) || pkgdb.CondaName.MatchString(path.Base(p)) {
			w.unreadable(p, fmt.Sprintf("package record: %v", err))
		}
		return nil
	}
	set := PackageSet{Path: p, of: "conda"}
	w.installed(&set, name, version)
	for _, file := range files {
		w.owns(name, file)
	}
	w.packages(set)
	return nil
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

// wheelRecord reads which files a Python package brought: wheels that were repaired
// carry copies of libraries, libcuda among them.
func (w *walker) wheelRecord(p string, body io.Reader) error {
	dir := path.Dir(p)
	name, version := pkgdb.SplitWheel(path.Base(dir))
	w.version(name, version)
	return w.readRecord(p, body, false, func(r io.Reader) error {
		return pkgdb.ReadWheel(r, func(file string) { w.owns(name, Clean(path.Dir(dir)+"/"+file)) })
	})
}

// dpkgStatus reads a database of dpkg's, or "" for the control file of a package.
func (w *walker) dpkgStatus(p string, body io.Reader) error {
	set := PackageSet{Path: p, Aside: w.depth == 0 && !pkgdb.IsPlace(p)}
	err := w.readRecord(p, body, set.Aside, func(r io.Reader) error {
		return pkgdb.ReadDpkg(r, func(name, version string) { w.installed(&set, name, version) })
	})
	w.packages(set)
	return err
}

// dpkgList notes the package of each file that a rule may be about.
func (w *walker) dpkgList(p, pkg string, body io.Reader) error {
	pkg, _, _ = strings.Cut(pkg, ":") // libcuda1:amd64
	return w.readRecord(p, body, false, func(r io.Reader) error {
		return pkgdb.Lines(r, func(file string) { w.owns(pkg, Clean(file)) })
	})
}

// apk reads Alpine's database.
func (w *walker) apk(p string, body io.Reader) error {
	set := PackageSet{Path: p, Aside: !pkgdb.IsPlace(p)}
	err := w.readRecord(p, body, set.Aside, func(r io.Reader) error {
		return pkgdb.ReadApk(r, func(name, version string) { w.installed(&set, name, version) }, func(name, file string) {
			if !set.Aside {
				w.owns(name, Clean(file))
			}
		})
	})
	w.packages(set)
	return err
}

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
