// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/rpmdb"
)

// Limits of records that are held in memory.
const (
	maxRPMDatabase = 128 << 20
)

// record reads p if it is the record of a package manager or of the linker. What stands
// at the path of a text and cannot be one is a file like others.
func (w *walker) record(p string, text bool, head []byte, h *tar.Header, body io.Reader) (handled bool, err error) {
	limited := io.LimitReader(body, maxRecord)
	dir, base := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	of, rest := database(p)
	switch {
	case of == rpm:
		return true, w.rpmDatabase(p, h.Size, body)
	case p == loader.Cache:
		return true, w.linkerCache(p, h.Size, body)
	case of == portage:
		w.portage(p, rest)
		return false, nil
	case !text:
		return false, nil
	case strings.HasPrefix(p, dpkgInfo) && strings.HasSuffix(p, ".list"):
		return true, w.dpkgList(p, strings.TrimSuffix(base, ".list"), limited)
	case p == pkgInfo && w.depth > 0:
		return true, w.packageInfo(limited)
	case base == "RECORD" && strings.HasSuffix(dir, ".dist-info"):
		return true, w.wheelRecord(p, limited)
	case of == conda:
		return true, w.conda(p, body)
	case of == nobody && w.depth == 0:
		of = databaseLike(p, head)
	}
	switch {
	case of == rpm:
		return true, w.rpmDatabase(p, h.Size, body)
	case of == dpkg && !strings.HasSuffix(rest, ".md5sums"):
		return true, w.dpkgStatus(p, limited)
	case of == apk:
		return true, w.apk(p, limited)
	case of == pacman:
		return w.pacman(p, limited)
	}
	return false, nil
}

// portage notes a package of Gentoo's, which has a folder CATEGORY/NAME-VERSION: the first
// file of it stands for all.
func (w *walker) portage(p, rest string) {
	m := portageFile.FindStringSubmatch(rest)
	if m == nil || m[1] == w.lastPortage {
		return
	}
	w.lastPortage = strings.Clone(m[1])
	set := packageSet{Path: p}
	w.installed(&set, m[2], m[3])
	w.packages(set)
}

var portageFile = regexp.MustCompile(`^pkg/([^/]+/([^/]+?)-([0-9][^/]*))/[^/]+$`)

// apk reads Alpine's database: paragraphs of one-letter fields.
func (w *walker) apk(p string, body io.Reader) error {
	set := packageSet{Path: p, Aside: !isPlace(p)}
	var name, version, dir, why string
	flush := func() {
		if name != "" {
			w.installed(&set, name, version)
		}
		name, version, dir = "", "", ""
	}
	err := w.lines(p, body, func(line string) {
		key, value, ok := strings.Cut(line, ":")
		switch {
		case line == "":
			flush()
			return
		case !ok || len(key) != 1:
			why = "a line that is no field"
		case key == "P" && name != "":
			why = "two packages in one paragraph"
		}
		switch key {
		case "P":
			name = value
		case "V":
			version = value
		case "F":
			dir = value
		case "R":
			if !set.Aside {
				w.owns(name, clean(dir+"/"+value))
			}
		}
	})
	flush()
	w.broken(set, why)
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
		set := packageSet{Path: p, Aside: !isPlace(p)}
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
	name, version, _ := strings.Cut(strings.TrimSuffix(path.Base(dir), ".dist-info"), "-")
	w.version(name, version)
	return w.lines(p, body, func(line string) {
		file, _, _ := strings.Cut(line, ",")
		w.owns(name, clean(path.Dir(dir)+"/"+file))
	})
}
