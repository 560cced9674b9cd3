// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// Bounds of executables: files of one layer. The kernel reads no
// more than maxLine bytes for the first line of a script (BINPRM_BUF_SIZE).
const (
	maxExecutables = 1 << 18
	maxLine        = 256
	kindBits       = 16 // of a hash that give way to the number of a kind
)

// executables is how the files of one layer begin that somebody may execute: what the kernel
// goes by. It takes 8 bytes a file.
type executables struct {
	Kinds []Executable `json:"kinds,omitempty"` // each once; of files with the first nothing is known
	At    []uint64     `json:"at,omitempty"`    // hashes of paths with the number of the kind, sorted
	Cut   bool         `json:"cut,omitempty"`   // there are more files
}

// Executable is how a file begins, and who may execute it. The zero value is what nothing is
// known of, a link to a file that nobody may execute included.
type Executable struct {
	ABI  loader.ABI `json:"abi,omitempty"`  // of an ELF file
	Line string     `json:"line,omitempty"` // the first one of a script, with "#!"
	Text bool       `json:"text,omitempty"` // it is a text that does not begin so, or empty
	Only string     `json:"only,omitempty"` // number of the one user, beside 0, who may; "" for others too
}

// Find returns how a file begins that the layer has; ok is false where nobody may
// execute it.
func (h *executables) Find(p string) (k Executable, ok bool) {
	key := executableKey(p)
	at, _ := slices.BinarySearch(h.At, key)
	if at == len(h.At) || h.At[at]>>kindBits != key>>kindBits {
		return Executable{}, h.Cut
	}
	return h.Kinds[h.At[at]&(1<<kindBits-1)], true
}

func executableKey(p string) uint64 { return Hash(KindFile, p) &^ (1<<kindBits - 1) }

func (h *executables) weight() int {
	n := 8 * len(h.At)
	for _, k := range h.Kinds {
		n += 64 + len(k.Line)
	}
	return n
}

// executableCollector keeps the executables of a layer as its entries come. Of entries with one path, the last counts.
type executableCollector struct {
	executables
	at    map[uint64]uint64 // by key: number of the kind
	kinds map[Executable]uint64
	hard  map[uint64]string // hard links to what may be no executable: key, target
	text  *room
}

func newExecutableCollector(r *room) executableCollector {
	return executableCollector{executables: executables{Kinds: []Executable{{}}}, at: map[uint64]uint64{}, kinds: map[Executable]uint64{{}: 0}, hard: map[uint64]string{}, text: r}
}

func (c *executableCollector) set(key, number uint64) {
	if _, known := c.at[key]; !known && len(c.at) >= maxExecutables {
		c.Cut = true
		return
	}
	c.at[key] = number
}

// forget drops what an earlier entry of the layer had at p.
func (c *executableCollector) forget(p string) { delete(c.at, executableKey(p)) }

// unknown notes a file of which nothing is known.
func (c *executableCollector) unknown(p string) { c.set(executableKey(p), 0) }

// has reports whether somebody may execute p.
func (c *executableCollector) has(p string) bool {
	_, ok := c.at[executableKey(p)]
	return ok
}

// file notes a regular file by its first bytes.
func (c *executableCollector) file(p string, h *tar.Header, first []byte) {
	if h.Mode&0o111 == 0 {
		return
	}
	k := executableOf(first, h.Size)
	if h.Mode&0o011 == 0 {
		k.Only = strconv.Itoa(h.Uid)
	}
	number, known := c.kinds[k]
	if !known && len(c.Kinds) < 1<<kindBits && c.text.keep(len(k.Line)+len(k.Only)) {
		number = uint64(len(c.Kinds))
		c.kinds[k] = number
		c.Kinds = append(c.Kinds, k)
	}
	c.set(executableKey(p), number)
}

// link notes a hard link. It has the bits of its target, or these have been set anew for
// both by its own.
func (c *executableCollector) link(p, target string, h *tar.Header) {
	number, known := c.at[executableKey(target)]
	switch {
	case known:
		c.set(executableKey(p), number)
	case h.Mode&0o111 != 0:
		c.unknown(p)
		c.unknown(target)
	default:
		c.unknown(p)
		if len(c.hard) < maxExecutables && c.text.keep(len(target)) {
			c.hard[executableKey(p)] = target
		}
	}
}

// seal returns what was kept. A hard link to a file of this layer that nobody may
// execute is one itself.
func (c *executableCollector) seal(paths Paths) executables {
	for key, target := range c.hard {
		if paths.Has(KindFile, target) && !c.has(target) && c.at[key] == 0 {
			delete(c.at, key)
		}
	}
	if len(c.at) == 0 {
		return executables{Cut: c.Cut}
	}
	for key, number := range c.at {
		c.At = append(c.At, key|number)
	}
	slices.Sort(c.At)
	return c.executables
}

// executableOf tells what the kernel takes a file of size bytes for, by its first ones.
func executableOf(first []byte, size int64) Executable {
	switch {
	case sniff.IsELF(first) && size >= elfHeaderSize:
		order := binary.ByteOrder(binary.LittleEndian)
		if first[5] == 2 {
			order = binary.BigEndian
		}
		return Executable{ABI: loader.NewABI(order.Uint16(first[18:]), first[4], first[5])}
	case bytes.HasPrefix(first, []byte("#!")):
		return Executable{Line: firstLine(first, size)}
	}
	// What is no text may have an interpreter that only the host knows (binfmt_misc).
	return Executable{Text: !bytes.ContainsFunc(first, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", r) })}
}

// firstLine returns the first line of a script, "" if the kernel does not read all of it.
func firstLine(first []byte, size int64) string {
	line, _, whole := bytes.Cut(first[:min(len(first), maxLine)], []byte("\n"))
	if !whole && size >= maxLine || !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 {
		return ""
	}
	return string(line)
}
