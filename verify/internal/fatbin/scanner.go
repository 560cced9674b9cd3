// SPDX-License-Identifier: Apache-2.0

package fatbin

import (
	"bytes"
	"encoding/binary"
	"io"
)

const (
	containerHead = 16
	entryHead     = 64
	align         = 8
	maxMalformed  = 16 // containers, in a file whose entries are looked into
)

// magic begins a container; the first four bytes of it are enough to look closer. The first of
// these is common in programs: what is looked for is the others.
var magic = []byte{0x50, 0xed, 0x55, 0xba}

// Scanner finds the device code in one file, which is written to it from its
// first byte to its last, in pieces of any size. Write never fails.
type Scanner struct {
	// Found is called for each entry, in the order of the file.
	Found func(Entry)
	// Outside is called for the bytes that are in no container; nil calls nothing.
	Outside func([]byte)

	size   int64 // of the file
	off    int64 // of the next byte
	step   func(*Scanner, []byte) int
	part   []byte         // what is held of a header or of an entry's content
	again  []byte         // what was held and is to be read again
	skip   int64          // bytes to pass over, from part on
	then   func(*Scanner) // what comes behind them
	left   int64          // bytes of the container behind the entry
	entry  entry
	bad    int
	budget int
	work   int // bytes that were read, each as often as it was
}

var _ io.Writer = (*Scanner)(nil)

// NewScanner returns a scanner of a file of size bytes.
func NewScanner(size int64, found func(Entry)) *Scanner {
	return &Scanner{Found: found, size: size, step: (*Scanner).search, budget: maxDecoded}
}

// Malformed returns how many containers had an entry that makes no sense, or one in which
// another container begins. What follows such an entry in its container is not listed.
func (s *Scanner) Malformed() int { return s.bad }

// Write implements io.Writer.
func (s *Scanner) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		used := s.step(s, p)
		s.off += int64(used)
		s.work += used
		p = p[used:]
		if again := s.again; len(again) > 0 {
			s.off, s.again = s.off-int64(len(again)), nil
			_, _ = s.Write(again)
		}
	}
	return n, nil
}

// search looks for the next container, also where an entry is passed over: what claims to
// hold a container may be none itself. Of p it takes all up to one, or to the last bytes
// if one might begin there.
func (s *Scanner) search(p []byte) int {
	if len(s.part) > 0 {
		return s.candidate(p)
	}
	inside := s.skip > 0
	if inside {
		p = p[:min(int64(len(p)), s.skip)]
	}
	at, found := s.index(p, s.off)
	if inside {
		s.skip -= int64(at)
	} else {
		s.outside(p[:at])
	}
	switch {
	case found:
		s.step = (*Scanner).container
		return at + s.collect(p[at:], len(magic))
	case inside && s.skip == int64(len(p)-at):
		s.skip = 0
		s.then(s)
	default:
		s.part = append(s.part, p[at:]...)
	}
	return len(p)
}

// index returns where in p, which lies at an offset of the file, a container may begin;
// else where the last bytes begin that are too few to tell.
func (s *Scanner) index(p []byte, off int64) (at int, found bool) {
	for next := 0; ; next++ {
		i := bytes.Index(p[next:], magic[1:])
		if i < 0 {
			break
		}
		next += i
		if at = next - 1; at >= 0 && p[at] == magic[0] && (off+int64(at))%align == 0 {
			return at, true
		}
	}
	if past := int((off + int64(len(p))) % align); past < len(magic) && past <= len(p) {
		return len(p) - past, false
	}
	return len(p), false
}

// candidate completes the bytes held at a boundary.
func (s *Scanner) candidate(p []byte) int {
	used := s.collect(p, len(magic))
	switch {
	case len(s.part) < len(magic):
	case bytes.Equal(s.part, magic):
		s.step = (*Scanner).container
	default:
		s.refuse(len(magic))
	}
	return used
}

// collect holds bytes of p until n are held and returns how many it took.
func (s *Scanner) collect(p []byte, n int) int {
	used := min(n-len(s.part), len(p))
	s.part = append(s.part, p[:used]...)
	return used
}

func (s *Scanner) outside(p []byte) {
	if s.Outside != nil && len(p) > 0 {
		s.Outside(p)
	}
}

// container reads the headers of a container and of its first entry. Without plausible
// ones it was no container.
func (s *Scanner) container(p []byte) int {
	used := s.collect(p, containerHead+entryHead)
	if len(s.part) < containerHead {
		return used
	}
	le := binary.LittleEndian
	body, room := le.Uint64(s.part[8:]), s.size-s.off-int64(used)+int64(len(s.part)-containerHead)
	plausible := le.Uint16(s.part[4:]) == 1 && le.Uint16(s.part[6:]) == containerHead && room >= entryHead && body >= entryHead && body <= uint64(room)
	if plausible && len(s.part) < containerHead+entryHead {
		return used
	}
	if plausible {
		if e, ok := parseEntry(s.part[containerHead:], int64(body)); ok {
			s.nested()
			s.begin(e, int64(body), s.off+int64(used))
			return used
		}
	}
	s.refuse(align)
	return used
}

// nested gives up the container in whose entry another begins: either may be none.
func (s *Scanner) nested() {
	if s.skip > 0 {
		s.bad++
	}
}

// refuse goes on behind the first n bytes that are held: no container begins there.
func (s *Scanner) refuse(n int) {
	inside := s.skip > 0
	if inside {
		n = int(min(int64(n), s.skip))
		s.skip -= int64(n)
	} else {
		s.outside(s.part[:n])
	}
	s.again = bytes.Clone(s.part[n:])
	s.part = s.part[:0]
	s.step = (*Scanner).search
	if inside && s.skip == 0 {
		s.then(s)
	}
}

// begin goes to the content of an entry whose header ends at an offset of the file, and of
// which room bytes are left in the container.
func (s *Scanner) begin(e entry, room, end int64) {
	s.entry, s.left = e, room-e.head-e.payload
	s.pass(s.part[len(s.part)-entryHead:], end, e.head, (*Scanner).open)
}

// pass goes over n bytes, of which some are held, up to an offset of the file. Where a
// container may begin in these, they are read again.
func (s *Scanner) pass(held []byte, end, n int64, then func(*Scanner)) {
	at, _ := s.index(held, end-int64(len(held)))
	s.again = bytes.Clone(held[at:])
	s.part, s.skip, s.then = s.part[:0], n-int64(at), then
	s.step = (*Scanner).search
	if s.skip == 0 {
		then(s)
	}
}

// open looks at the content of an entry if it has to.
func (s *Scanner) open() {
	s.step = (*Scanner).content
	if s.wanted() == 0 {
		s.done(s.off)
	}
}

// wanted returns how many bytes of the content are held. After much that makes no sense
// nothing is: bytes of many entries that overlap would be held as often.
func (s *Scanner) wanted() int {
	if s.bad > maxMalformed {
		return 0
	}
	return s.entry.wanted()
}

// content holds the first bytes of an entry's content.
func (s *Scanner) content(p []byte) int {
	used := s.collect(p, s.wanted())
	if len(s.part) == s.wanted() {
		s.done(s.off + int64(used))
	}
	return used
}

// done reports the entry whose content was looked at, up to an offset of the file, and
// passes over the rest.
func (s *Scanner) done(end int64) {
	s.Found(s.entry.describe(s.part, &s.budget))
	s.pass(s.part, end, s.entry.payload, (*Scanner).next)
}

// next goes on to the container's next entry, or out of it.
func (s *Scanner) next() {
	s.part = s.part[:0]
	s.step = (*Scanner).header
	if s.left < entryHead {
		s.step = (*Scanner).search
	}
}

// header reads the header of an entry behind the first.
func (s *Scanner) header(p []byte) int {
	used := s.collect(p, entryHead)
	if len(s.part) < entryHead {
		return used
	}
	if e, ok := parseEntry(s.part, s.left); ok {
		s.begin(e, s.left, s.off+int64(used))
		return used
	}
	s.bad++
	s.again = bytes.Clone(s.part)
	s.part = s.part[:0]
	s.step = (*Scanner).search
	return used
}
