// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path"
	"strconv"
)

// Entry is one entry of a layer's archive, for [Reader.Watch].
type Entry struct {
	Path   string // as the layer has it, without a leading slash
	Type   string // file, directory, symlink, hard link, device, other
	Size   int64  // of a file, in bytes
	Mode   string // "-rwxr-xr-x"
	Owner  string
	Target string // of a link
	SHA256 string // of a file's content, in hex
	ELF    *ELF   // nil if it is no dynamic ELF file
}

// ELF is what of an ELF file is worth being told.
type ELF struct {
	SOName    string
	Needed    []string
	Exports   int    // symbols
	ExecBytes uint64 // of executable segments in the file
}

// Recorder collects what one layer says about the paths of one base name: where the path
// asked about leads is known when all layers are. A nil *Recorder watches nothing.
type Recorder struct {
	base    string
	Entries []Entry
	More    bool                     // there are entries that are not kept
	Owner   func(path string) string // the package of a file, by the layer's own records
}

// MaxSeen bounds the entries of one base name in one layer.
const MaxSeen = 10_000

func newRecorder(base string) *Recorder {
	if base == "" {
		return nil
	}
	return &Recorder{base: base, Owner: func(string) string { return "" }}
}

func (r *Recorder) is(p string) bool { return r != nil && r.base == path.Base(p) }

// entry notes an entry and calls judge with a body that is hashed as it is read.
func (r *Recorder) entry(p string, h *tar.Header, body io.Reader, judge func(io.Reader) error) error {
	if len(r.Entries) == MaxSeen {
		r.More = true
		return judge(body)
	}
	e := Entry{Path: p, Type: entryType(h), Mode: h.FileInfo().Mode().String(), Target: h.Linkname, Owner: owner(h)}
	sum := sha256.New()
	if e.Type == "file" {
		e.Size, body = h.Size, io.TeeReader(body, sum)
	}
	r.Entries = append(r.Entries, e)
	last := &r.Entries[len(r.Entries)-1]
	if err := judge(body); err != nil || e.Type != "file" {
		return err
	}
	_, err := io.Copy(io.Discard, body)
	last.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return err
}

// content notes what a file was recognised by.
func (r *Recorder) content(p string, c content) {
	if !r.is(p) || c.elf == nil || len(r.Entries) == 0 || r.Entries[len(r.Entries)-1].Path != p {
		return
	}
	r.Entries[len(r.Entries)-1].ELF = &ELF{SOName: c.elf.SOName, Needed: c.elf.Needed, Exports: c.elf.Exports, ExecBytes: c.elf.ExecBytes}
}

func owner(h *tar.Header) string {
	return cmp.Or(h.Uname, strconv.Itoa(h.Uid)) + ":" + cmp.Or(h.Gname, strconv.Itoa(h.Gid))
}

func entryType(h *tar.Header) string {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		return "file"
	case tar.TypeDir:
		return "directory"
	case tar.TypeSymlink:
		return "symlink"
	case tar.TypeLink:
		return "hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	}
	return "other"
}
