// SPDX-License-Identifier: Apache-2.0

package pgpkey

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Packet tags (RFC 4880, 4.3).
const (
	tagSignature = 2
	tagPublicKey = 6
	tagSubkey    = 14
)

type packet struct {
	tag  byte
	body []byte
}

// split takes a key apart. Bodies are parts of data.
func split(data []byte) ([]packet, error) {
	var packets []packet
	for len(data) > 0 {
		head := data[0]
		if head&0x80 == 0 {
			return nil, fmt.Errorf("%w: no packet at its byte %#x", errNotKey, head)
		}
		tag, size, rest, ok := (head>>2)&0xf, 0, data[1:], false
		if head&0x40 != 0 {
			tag = head & 0x3f
			size, rest, ok = newLength(rest)
		} else {
			size, rest, ok = oldLength(head&3, rest)
		}
		if !ok || size > len(rest) {
			return nil, fmt.Errorf("%w: a packet is cut off", errNotKey)
		}
		packets = append(packets, packet{tag, rest[:size]})
		data = rest[size:]
	}
	return packets, nil
}

// oldLength reads the length of a packet of the old format (4.2.1).
func oldLength(kind byte, data []byte) (size int, rest []byte, ok bool) {
	if kind == 3 { // to the end
		return len(data), data, true
	}
	n := 1 << kind
	if len(data) < n {
		return 0, nil, false
	}
	for _, b := range data[:n] {
		size = size<<8 | int(b)
	}
	return size, data[n:], true
}

// newLength reads the length of a packet or subpacket of the new format (4.2.2). A
// key has no packets in parts.
func newLength(data []byte) (size int, rest []byte, ok bool) {
	switch {
	case len(data) >= 1 && data[0] < 192:
		return int(data[0]), data[1:], true
	case len(data) >= 2 && data[0] < 224:
		return (int(data[0])-192)<<8 + int(data[1]) + 192, data[2:], true
	case len(data) >= 5 && data[0] == 255:
		return int(binary.BigEndian.Uint32(data[1:])), data[5:], true
	}
	return 0, nil, false
}

// expiry is what the newest signature of the primary key on itself says.
func expiry(packets []packet, fingerprint string) time.Time {
	created := binary.BigEndian.Uint32(packets[0].body[1:])
	var newest signature
	for _, p := range packets {
		if p.tag == tagSubkey {
			break
		}
		if s, ok := parseSignature(p); ok && s.created >= newest.created && strings.HasSuffix(fingerprint, s.issuer) {
			newest = s
		}
	}
	if newest.lifetime == 0 {
		return time.Time{}
	}
	return time.Unix(int64(created)+int64(newest.lifetime), 0).UTC()
}

// signature is what a certification says.
type signature struct {
	created, lifetime uint32
	issuer            string // key ID, 16 hexadecimal digits
}

// parseSignature reads a certification or direct signature of version 4 (5.2.3).
func parseSignature(p packet) (s signature, ok bool) {
	if p.tag != tagSignature || len(p.body) < 6 || p.body[0] != 4 {
		return s, false
	}
	if class := p.body[1]; (class < 0x10 || class > 0x13) && class != 0x1f {
		return s, false
	}
	rest := p.body[4:]
	for area := range 2 { // hashed, then unhashed: of the latter only the issuer counts
		if len(rest) < 2 {
			return s, false
		}
		size := int(binary.BigEndian.Uint16(rest))
		if size > len(rest)-2 {
			return s, false
		}
		if !s.read(rest[2:2+size], area == 0) {
			return s, false
		}
		rest = rest[2+size:]
	}
	return s, s.issuer != ""
}

// read takes in subpackets (5.2.3.1).
func (s *signature) read(area []byte, hashed bool) bool {
	for len(area) > 0 {
		size, rest, ok := newLength(area)
		if !ok || size < 1 || size > len(rest) {
			return false
		}
		value := rest[1:size]
		switch kind := rest[0] & 0x7f; {
		case kind == 2 && hashed && len(value) == 4:
			s.created = binary.BigEndian.Uint32(value)
		case kind == 9 && hashed && len(value) == 4:
			s.lifetime = binary.BigEndian.Uint32(value)
		case kind == 16 && len(value) == 8:
			s.issuer = hex.EncodeToString(value)
		}
		area = rest[size:]
	}
	return true
}
