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

// Bounds of heads: files of one layer. The kernel reads no
// more than maxLine bytes for the first line of a script (BINPRM_BUF_SIZE).
const (
	maxHeads = 1 << 18
	maxLine  = 256
	headBits = 16 // of a hash that give way to the number of a head
)

// heads is how the files of one layer begin that somebody may execute: what the kernel
// goes by. It takes 8 bytes a file.
type heads struct {
	Kinds []Head   `json:"kinds,omitempty"` // each once; of files with the first nothing is known
	At    []uint64 `json:"at,omitempty"`    // hashes of paths with the number of the head, sorted
	Cut   bool     `json:"cut,omitempty"`   // there are more files
}

// Head is how a file begins, and who may execute it. The zero value is what nothing is
// known of, a link to a file that nobody may execute included.
type Head struct {
	ABI  loader.ABI `json:"abi,omitempty"`  // of an ELF file
	Line string     `json:"line,omitempty"` // the first one of a script, with "#!"
	Text bool       `json:"text,omitempty"` // it is a text that does not begin so, or empty
	Only string     `json:"only,omitempty"` // number of the one user, beside 0, who may; "" for others too
}

// Find returns the head of a file that the layer has; ok is false where nobody may
// execute it.
func (h *heads) Find(p string) (k Head, ok bool) {
	key := headKey(p)
	at, _ := slices.BinarySearch(h.At, key)
	if at == len(h.At) || h.At[at]>>headBits != key>>headBits {
		return Head{}, h.Cut
	}
	return h.Kinds[h.At[at]&(1<<headBits-1)], true
}

func headKey(p string) uint64 { return Hash(KindFile, p) &^ (1<<headBits - 1) }

func (h *heads) weight() int {
	n := 8 * len(h.At)
	for _, k := range h.Kinds {
		n += 64 + len(k.Line)
	}
	return n
}

// headCollector keeps the heads of a layer as its entries come. Of entries with one path, the last counts.
type headCollector struct {
	heads
	at    map[uint64]uint64 // by key: number of the head
	kinds map[Head]uint64
	hard  map[uint64]string // hard links to what may have no head: key, target
	text  *room
}

func newHeadCollector(r *room) headCollector {
	return headCollector{heads: heads{Kinds: []Head{{}}}, at: map[uint64]uint64{}, kinds: map[Head]uint64{{}: 0}, hard: map[uint64]string{}, text: r}
}

func (c *headCollector) set(key, number uint64) {
	if _, known := c.at[key]; !known && len(c.at) >= maxHeads {
		c.Cut = true
		return
	}
	c.at[key] = number
}

// forget drops what an earlier entry of the layer had at p.
func (c *headCollector) forget(p string) { delete(c.at, headKey(p)) }

// unknown notes a file of which nothing is known.
func (c *headCollector) unknown(p string) { c.set(headKey(p), 0) }

// has reports whether somebody may execute p.
func (c *headCollector) has(p string) bool {
	_, ok := c.at[headKey(p)]
	return ok
}

// file notes a regular file by its first bytes.
func (c *headCollector) file(p string, h *tar.Header, first []byte) {
	if h.Mode&0o111 == 0 {
		return
	}
	k := headOf(first, h.Size)
	if h.Mode&0o011 == 0 {
		k.Only = strconv.Itoa(h.Uid)
	}
	number, known := c.kinds[k]
	if !known && len(c.Kinds) < 1<<headBits && c.text.keep(len(k.Line)+len(k.Only)) {
		number = uint64(len(c.Kinds))
		c.kinds[k] = number
		c.Kinds = append(c.Kinds, k)
	}
	c.set(headKey(p), number)
}

// link notes a hard link. It has the bits of its target, or these have been set anew for
// both by its own.
func (c *headCollector) link(p, target string, h *tar.Header) {
	number, known := c.at[headKey(target)]
	switch {
	case known:
		c.set(headKey(p), number)
	case h.Mode&0o111 != 0:
		c.unknown(p)
		c.unknown(target)
	default:
		c.unknown(p)
		if len(c.hard) < maxHeads && c.text.keep(len(target)) {
			c.hard[headKey(p)] = target
		}
	}
}

// seal returns what was kept. A hard link to a file of this layer that nobody may
// execute is one itself.
func (c *headCollector) seal(paths Paths) heads {
	for key, target := range c.hard {
		if paths.Has(KindFile, target) && !c.has(target) && c.at[key] == 0 {
			delete(c.at, key)
		}
	}
	if len(c.at) == 0 {
		return heads{Cut: c.Cut}
	}
	for key, number := range c.at {
		c.At = append(c.At, key|number)
	}
	slices.Sort(c.At)
	return c.heads
}

// headOf tells what the kernel takes a file of size bytes for, by its first ones.
func headOf(first []byte, size int64) Head {
	switch {
	case sniff.IsELF(first) && size >= elfHeaderSize:
		order := binary.ByteOrder(binary.LittleEndian)
		if first[5] == 2 {
			order = binary.BigEndian
		}
		return Head{ABI: loader.NewABI(order.Uint16(first[18:]), first[4], first[5])}
	case bytes.HasPrefix(first, []byte("#!")):
		return Head{Line: firstLine(first, size)}
	}
	// What is no text may have an interpreter that only the host knows (binfmt_misc).
	return Head{Text: !bytes.ContainsFunc(first, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", r) })}
}

// firstLine returns the first line of a script, "" if the kernel does not read all of it.
func firstLine(first []byte, size int64) string {
	line, _, whole := bytes.Cut(first[:min(len(first), maxLine)], []byte("\n"))
	if !whole && size >= maxLine || !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 {
		return ""
	}
	return string(line)
}
