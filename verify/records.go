// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rpmdb"
)

// Limits of records that are held in memory.
const (
	maxRPMDatabase = 128 << 20
)

const apkInstalled = "lib/apk/db/installed"

// rpmDirs and rpmFiles are where rpm keeps its database: BDB, NDB, SQLite.
var (
	rpmDirs  = []string{"var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"}
	rpmFiles = []string{"Packages", "Packages.db", "rpmdb.sqlite"}
)

// record reads p if it is the record of a package manager or of the linker. What stands
// at the path of a text and cannot be one is a file like others.
func (w *walker) record(p string, text bool, h *tar.Header, body io.Reader) (handled bool, err error) {
	limited := io.LimitReader(body, maxRecord)
	dir, base := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	switch {
	case slices.Contains(rpmDirs, dir) && slices.Contains(rpmFiles, base):
		return true, w.rpmDatabase(p, h.Size, body)
	case p == loader.Cache:
		return true, w.linkerCache(p, h.Size, body)
	case !text:
		return false, nil
	case strings.HasPrefix(p, "var/lib/dpkg/"):
		return w.dpkg(p, limited)
	case p == apkInstalled, p == "usr/"+apkInstalled:
		return true, w.apk(p, limited)
	case p == pkgInfo && w.depth > 0:
		return true, w.packageInfo(limited)
	case strings.HasPrefix(p, pacmanLocal):
		return w.pacman(p, limited)
	case path.Base(dir) == "conda-meta" && strings.HasSuffix(base, ".json"):
		return true, w.conda(p, body)
	case base == "RECORD" && strings.HasSuffix(dir, ".dist-info"):
		return true, w.wheelRecord(p, limited)
	}
	return false, nil
}

// apk reads Alpine's database: paragraphs of one-letter fields.
func (w *walker) apk(p string, body io.Reader) error {
	set := packageSet{Path: p}
	var name, dir string
	err := w.lines(p, body, func(line string) {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "P":
			name = value
		case "V":
			w.installed(&set, name, value)
		case "F":
			dir = value
		case "R":
			w.owns(name, clean(dir+"/"+value))
		}
	})
	w.packages(set)
	return err
}

// rpmDatabase reads rpm's database from memory.
func (w *walker) rpmDatabase(p string, size int64, body io.Reader) error {
	if size > maxRPMDatabase {
		w.unreadable(p, fmt.Sprintf("package record of more than %d bytes", maxRPMDatabase))
		return nil
	}
	return held(size, body, func(data []byte) {
		set := packageSet{Path: p}
		err := rpmdb.Read(data, func(pkg rpmdb.Package) {
			w.installed(&set, pkg.Name, pkg.Version)
			pkg.Files(func(file string) { w.owns(pkg.Name, clean(file)) })
		})
		w.packages(set)
		if err != nil {
			w.unreadable(p, fmt.Sprintf("package record: %v", err))
		}
	})
}

// One file of more than smallRecord bytes is held at a time, of whatever layer: there is
// memory for one.
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
	name, version, _ := strings.Cut(strings.TrimSuffix(path.Base(dir), ".dist-info"), "-")
	w.version(name, version)
	return w.lines(p, body, func(line string) {
		file, _, _ := strings.Cut(line, ",")
		w.owns(name, clean(path.Dir(dir)+"/"+file))
	})
}
