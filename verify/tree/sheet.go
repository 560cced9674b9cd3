// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/blob"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rpmdb"
)

// Bounds of one layer, those of package verify where that has them.
const (
	maxLayerBytes = 256 << 30
	maxRatio      = 500
	maxRatioAfter = 4 << 30
	maxRecord     = 128 << 20
)

// sheet is one layer: what it hides of those below, and what it has, in its order.
type sheet struct {
	entries []entry
	hides   []hidden
	records []record
	weight  int           // of what is kept of it, in bytes
	room    *atomic.Int64 // for all layers that are read beside it
	wrong   error         // it is too large
	buf     []byte
}

// keep reports whether there is room for one thing more, with texts of that many bytes.
func (s *sheet) keep(texts int) bool {
	n := weight + texts
	s.weight += n
	switch left := s.room.Add(-int64(n)); {
	case s.weight > maxWeight:
		s.wrong = cmp.Or(s.wrong, fmt.Errorf("its entries, and what its records of packages list, take more than %d MiB of memory", maxWeight>>20))
	case left < 0:
		s.wrong = cmp.Or(s.wrong, errors.New("with the other layers of both images it takes too much memory"))
	}
	return s.wrong == nil
}

type entry struct {
	Node

	path string
	link string // of a hard link
}

// hidden is a whiteout, or what hides all that is inside a folder.
type hidden struct {
	path   string
	inside bool
}

// record is a file of a package manager's.
type record struct {
	path      string
	of        string // the manager
	installed []Package
	owned     []ownership
	diverted  map[string]ownership // see readDiversions
	damaged   error
}

type ownership struct{ pkg, file string }

// read reads a layer's blob of that many bytes to its end.
func read(ctx context.Context, open func() (io.ReadCloser, error), size int64, seed maphash.Seed, room *atomic.Int64) (*sheet, error) {
	var s *sheet
	var wrong error
	options := blob.Options{
		Trust: true, MaxBytes: maxLayerBytes, MaxRatio: maxRatio, MaxRatioAfter: maxRatioAfter,
		Acquire: func(context.Context, int) (func(), error) { return func() {}, nil },
	}
	_, err := blob.Read(ctx, blob.Source{Open: open, Size: size}, options, func(content io.Reader) {
		s, wrong = parse(content, seed, room)
	})
	if err == nil {
		err = wrong
	}
	return s, err
}

// parse reads the archive of a layer.
func parse(content io.Reader, seed maphash.Seed, room *atomic.Int64) (*sheet, error) {
	s := &sheet{room: room, buf: make([]byte, 256<<10)}
	var sum maphash.Hash
	sum.SetSeed(seed)
	err := archive.Tar(content, func(h *tar.Header, body io.Reader) error {
		if len(h.Name) > archive.MaxName || len(h.Linkname) > archive.MaxName {
			return fmt.Errorf("a name of more than %d bytes", archive.MaxName)
		}
		if !s.keep(len(h.Name) + len(h.Linkname) + len(attributes(h))) {
			return s.wrong
		}
		if err := s.add(h, body, &sum); err != nil {
			return err
		}
		return s.wrong
	})
	if err == nil {
		err = archive.End(content)
	}
	s.buf = nil
	return s, err
}

// kinds are the types of entries that make a node.
var kinds = map[byte]byte{
	tar.TypeReg: tar.TypeReg, tar.TypeGNUSparse: tar.TypeReg, tar.TypeCont: tar.TypeReg, tar.TypeLink: tar.TypeReg, tar.TypeDir: tar.TypeDir,
	tar.TypeSymlink: tar.TypeSymlink, tar.TypeChar: tar.TypeChar, tar.TypeBlock: tar.TypeBlock, tar.TypeFifo: tar.TypeFifo,
}

func (s *sheet) add(h *tar.Header, body io.Reader, sum *maphash.Hash) error {
	kind, ok := kinds[h.Typeflag]
	p := layer.Clean(h.Name)
	dir, base := path.Split(p)
	white, isWhite := strings.CutPrefix(base, ".wh.")
	switch {
	case !ok:
		return nil
	case kind == tar.TypeChar && h.Devmajor == 0 && h.Devminor == 0: // overlayfs whiteout
		s.hides = append(s.hides, hidden{path: p})
		return nil
	case base == ".wh..wh..opq":
		s.hides = append(s.hides, hidden{path: strings.TrimSuffix(dir, "/"), inside: true})
		return nil
	case isWhite:
		if !strings.HasPrefix(white, ".wh.") {
			s.hides = append(s.hides, hidden{path: dir + white})
		}
		return nil
	}
	e := entry{path: p, Node: Node{Type: kind, Mode: h.Mode & 0o7777, UID: h.Uid, GID: h.Gid, Time: [2]int64{h.ModTime.Unix(), int64(h.ModTime.Nanosecond())}, Attributes: attributes(h)}}
	switch {
	case h.Typeflag == tar.TypeLink:
		e.link = layer.Clean(h.Linkname)
	case kind == tar.TypeSymlink:
		e.Target = h.Linkname
	case kind == tar.TypeChar || kind == tar.TypeBlock:
		e.Device = [2]int64{h.Devmajor, h.Devminor}
	case kind == tar.TypeReg:
		e.Size = h.Size
		sum.Reset()
		if p == shadow && h.Size <= maxShadow {
			data, err := io.ReadAll(body)
			if err != nil {
				return fmt.Errorf("%q: %w", p, err)
			}
			e.Undated, body = maphash.Bytes(sum.Seed(), undated(data)), bytes.NewReader(data)
		}
		s.note(p, io.TeeReader(body, sum), h.Size)
		if _, err := io.CopyBuffer(sum, body, s.buf); err != nil {
			return fmt.Errorf("%q: %w", p, err)
		}
		e.Sum = sum.Sum64()
	}
	s.entries = append(s.entries, e)
	return nil
}

// shadow has a line for each user, of fields with colons between; the third is the day of the last change (shadow(5)).
const (
	shadow    = "etc/shadow"
	maxShadow = 1 << 20
)

func undated(data []byte) []byte {
	lines := bytes.Split(data, []byte("\n"))
	for i, line := range lines {
		if fields := bytes.Split(line, []byte(":")); len(fields) > 2 {
			lines[i] = bytes.Join(slices.Delete(fields, 2, 3), []byte(":"))
		}
	}
	return bytes.Join(lines, []byte("\n"))
}

// attributes are the extended ones of a file.
func attributes(h *tar.Header) string {
	var all []string
	for name, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(name, "SCHILY.xattr."); ok {
			all = append(all, name+"="+value)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\x00")
}

// note reads a file as far as it is a record of packages. An error of the reader comes again to who reads on.
func (s *sheet) note(p string, body io.Reader, size int64) {
	db, ok := pkgdb.Find(p, nil, true, false)
	r := record{path: strings.Clone(p), of: string(db.Of)}
	dir, isMetadata := pkgdb.MetadataDir(p)
	_, name, version, isPortage := pkgdb.PortagePackage(p)
	isPortage = isPortage && path.Base(p) == "CONTENTS"
	switch {
	case p == diversions && size <= maxRecord:
		r.of = string(pkgdb.Dpkg)
		r.diverted = s.readDiversions(body)
	case isPortage:
		r.of = string(pkgdb.Portage)
		s.install(&r, pkgdb.Package{Name: name, Version: version})
	case isMetadata:
		r.of = string(pkgdb.Wheel)
		s.install(&r, pkgdb.Metadata(dir, io.LimitReader(body, maxRecord)))
	case !ok || db.Aside:
		return
	case size > maxRecord:
		r.damaged = fmt.Errorf("it is larger than %d bytes", maxRecord)
	case db.Of == pkgdb.RPM:
		r.damaged = readRPM(body, s.sink(&r))
	default:
		r.damaged = db.Read(body, s.sink(&r))
	}
	if (isMetadata || isPortage) && s.wrong == nil { // of one package, which has at least this
		r.owned = append(r.owned, ownership{r.installed[0].Name, r.path})
	}
	s.records = append(s.records, r)
}

// diversions has three lines for each file that dpkg puts elsewhere: the file, its place, and the package whose own file stays
// (dpkg-divert(1)).
const diversions = "var/lib/dpkg/diversions"

func (s *sheet) readDiversions(body io.Reader) map[string]ownership {
	all := map[string]ownership{}
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		from := layer.Clean(lines.Text())
		if !lines.Scan() {
			break
		}
		to := layer.Clean(lines.Text())
		if !lines.Scan() {
			break
		}
		if pkg := lines.Text(); s.keep(len(from) + len(to) + len(pkg)) {
			all[from] = ownership{pkg, to}
		}
	}
	return all
}

func readRPM(body io.Reader, sink pkgdb.Sink) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return rpmdb.Read(data, func(p rpmdb.Package) {
		sink.Installed(pkgdb.Package{Name: p.Name, Version: p.Version, Arch: p.Arch})
		p.Files(func(file string) { sink.Owns(p.Name, file) })
	})
}

// install notes a package, without what the texts that it was read from hold beside it.
func (s *sheet) install(r *record, p pkgdb.Package) {
	if s.keep(len(p.Name) + len(p.Arch) + len(p.Version)) {
		r.installed = append(r.installed, Package{r.of, strings.Clone(p.Name), strings.Clone(p.Arch), strings.Clone(p.Version)})
	}
}

// sink keeps what a record holds. Files that stand before their package get its name when it comes.
func (s *sheet) sink(r *record) pkgdb.Sink {
	named := 0
	return pkgdb.Sink{
		Installed: func(p pkgdb.Package) {
			s.install(r, p)
			for i := range r.owned[named:] {
				r.owned[named+i].pkg = cmp.Or(r.owned[named+i].pkg, strings.Clone(p.Name))
			}
			named = len(r.owned)
		},
		Known: func(string, string) {},
		Owns: func(pkg, file string) {
			if s.keep(len(pkg) + len(file)) {
				r.owned = append(r.owned, ownership{strings.Clone(pkg), strings.Clone(layer.Clean(file))})
			}
		},
	}
}
