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
)

// magic begins a container; the first four bytes of it are enough to look closer.
var magic = []byte{0x50, 0xed, 0x55, 0xba}

// Scanner finds the device code in one file, which is written to it from its
// first byte to its last, in pieces of any size. Write never fails.
type Scanner struct {
	// Found is called for each entry, in the order of the file.
	Found func(Entry)
	// Outside is called for the bytes that are in no container; nil calls nothing.
	Outside func([]byte)

	size    int64 // of the file
	off     int64 // of the next byte
	step    func(*Scanner, []byte) int
	part    []byte // what is held of a header or of an entry's content
	skip    int64  // bytes to pass over
	left    int64  // bytes of the container that follow
	entries int    // of the container so far
	entry   entry
	bad     int
	budget  int
}

var _ io.Writer = (*Scanner)(nil)

// NewScanner returns a scanner of a file of size bytes.
func NewScanner(size int64, found func(Entry)) *Scanner {
	return &Scanner{Found: found, size: size, step: (*Scanner).search, budget: maxDecoded}
}

// Malformed returns how many containers had an entry that makes no sense. What
// follows such an entry in its container is not listed.
func (s *Scanner) Malformed() int { return s.bad }

// Write implements io.Writer.
func (s *Scanner) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		used := s.pass(len(p))
		if used == 0 {
			used = s.step(s, p)
		}
		s.off += int64(used)
		p = p[used:]
	}
	return n, nil
}

// pass skips what is to be skipped of n bytes.
func (s *Scanner) pass(n int) int {
	used := int(min(int64(n), s.skip))
	s.skip -= int64(used)
	return used
}

// search looks for the next container. Of p it takes all up to one, or to the last
// bytes if one might begin there.
func (s *Scanner) search(p []byte) int {
	if len(s.part) > 0 {
		return s.candidate(p)
	}
	for at := 0; ; {
		i := bytes.Index(p[at:], magic)
		if i < 0 {
			break
		}
		at += i
		if (s.off+int64(at))%align == 0 {
			s.outside(p[:at])
			s.step = (*Scanner).container
			return at + s.collect(p[at:], len(magic))
		}
		at++
	}
	tail := s.tail(len(p))
	s.outside(p[:len(p)-tail])
	s.part = append(s.part, p[len(p)-tail:]...)
	return len(p)
}

// tail returns how many of the last bytes of a piece begin at a boundary and are
// too few to tell.
func (s *Scanner) tail(n int) int {
	past := int((s.off + int64(n)) % align)
	if past < len(magic) && past <= n {
		return past
	}
	return 0
}

// candidate completes the bytes held at a boundary.
func (s *Scanner) candidate(p []byte) int {
	used := s.collect(p, len(magic))
	switch {
	case len(s.part) < len(magic):
	case bytes.Equal(s.part, magic):
		s.step = (*Scanner).container
	default:
		s.outside(s.part)
		s.part = s.part[:0]
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

// container reads a container's header. Without a plausible one it was no container.
func (s *Scanner) container(p []byte) int {
	used := s.collect(p, containerHead)
	if len(s.part) < containerHead {
		return used
	}
	le := binary.LittleEndian
	body := le.Uint64(s.part[8:])
	rest := uint64(s.size - s.off - int64(used))
	if le.Uint16(s.part[4:]) != 1 || le.Uint16(s.part[6:]) != containerHead || s.size < s.off+int64(used) || body > rest {
		s.outside(s.part)
		s.resume()
		return used
	}
	s.left, s.entries = int64(body), 0
	s.next()
	return used
}

// next goes on to the container's next entry, or out of it.
func (s *Scanner) next() {
	s.part = s.part[:0]
	s.step = (*Scanner).header
	if s.left < entryHead {
		s.skip += s.left
		s.resume()
	}
}

// resume looks for containers again.
func (s *Scanner) resume() {
	s.part, s.left = s.part[:0], 0
	s.step = (*Scanner).search
}

// header reads an entry's header.
func (s *Scanner) header(p []byte) int {
	used := s.collect(p, entryHead)
	if len(s.part) < entryHead {
		return used
	}
	e, ok := parseEntry(s.part, s.left)
	if !ok {
		if s.entries > 0 {
			s.bad++
		}
		s.resume()
		return used
	}
	s.entries++
	s.entry = e
	s.left -= e.head + e.payload
	s.skip = e.head - entryHead
	s.part = s.part[:0]
	s.step = (*Scanner).content
	if e.wanted() == 0 {
		s.done()
	}
	return used
}

// content holds the first bytes of an entry's content.
func (s *Scanner) content(p []byte) int {
	want := s.entry.wanted()
	used := s.collect(p, want)
	if len(s.part) == want {
		s.done()
	}
	return used
}

// done reports the entry whose content was looked at, and passes over the rest.
func (s *Scanner) done() {
	s.Found(s.entry.describe(s.part, &s.budget))
	s.skip += s.entry.payload - int64(len(s.part))
	s.next()
}
