// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path"
	"strconv"
)

// PathEntry is one entry of a layer's archive, for [Verifier.Explain].
type PathEntry struct {
	Path   string `json:"path"` // as the layer has it, without a leading slash
	Type   string `json:"type"` // file, directory, symlink, hard link, device, other
	Size   int64  `json:"size"` // of a file, in bytes
	Mode   string `json:"mode"` // "-rwxr-xr-x"
	Owner  string `json:"owner"`
	Target string `json:"target,omitempty"` // of a link
	SHA256 string `json:"sha256,omitempty"` // of a file's content, in hex
	ELF    *ELF   `json:"elf,omitempty"`    // nil if it is no dynamic ELF file
}

// ELF is what an ELF file says about itself to the dynamic linker.
type ELF struct {
	SOName    string   `json:"soname"`
	Needed    []string `json:"needed"`
	Exports   int      `json:"exports"`    // symbols
	ExecBytes uint64   `json:"exec_bytes"` // of executable segments in the file
}

// watch collects what one layer says about the paths of one base name: where the path
// asked about leads is known when all layers are. A nil *watch watches nothing.
type watch struct {
	base  string
	seen  []PathEntry
	more  bool                     // entries that are not kept
	owner func(path string) string // the package, by the layer's own records
}

// maxSeen bounds the entries of one base name in one layer.
const maxSeen = 10_000

func newWatch(base string) *watch {
	if base == "" {
		return nil
	}
	return &watch{base: base, owner: func(string) string { return "" }}
}

func (w *watch) is(p string) bool { return w != nil && w.base == path.Base(p) }

// entry notes an entry and calls judge with a body that is hashed as it is read.
func (w *watch) entry(p string, h *tar.Header, body io.Reader, judge func(io.Reader) error) error {
	if len(w.seen) == maxSeen {
		w.more = true
		return judge(body)
	}
	e := PathEntry{Path: p, Type: entryType(h), Mode: h.FileInfo().Mode().String(), Target: h.Linkname, Owner: owner(h)}
	sum := sha256.New()
	if e.Type == "file" {
		e.Size, body = h.Size, io.TeeReader(body, sum)
	}
	w.seen = append(w.seen, e)
	last := &w.seen[len(w.seen)-1]
	if err := judge(body); err != nil || e.Type != "file" {
		return err
	}
	_, err := io.Copy(io.Discard, body)
	last.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return err
}

// content notes what a file was recognised by.
func (w *watch) content(p string, c content) {
	if !w.is(p) || c.elf == nil || len(w.seen) == 0 || w.seen[len(w.seen)-1].Path != p {
		return
	}
	w.seen[len(w.seen)-1].ELF = &ELF{SOName: c.elf.SOName, Needed: c.elf.Needed, Exports: c.elf.Exports, ExecBytes: c.elf.ExecBytes}
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
