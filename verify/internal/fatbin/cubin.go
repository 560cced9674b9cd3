// SPDX-License-Identifier: Apache-2.0

package fatbin

import "encoding/binary"

// machineCUDA is e_machine of a cubin.
const machineCUDA = 190

// Cubin describes a file that is itself a cubin, by its first bytes; ok is false if
// it is none. Whether it has code is not looked at.
func Cubin(head []byte) (e Entry, ok bool) {
	le := binary.LittleEndian
	if len(head) < 52 || string(head[:6]) != "\x7fELF\x02\x01" || le.Uint16(head[18:]) != machineCUDA {
		return Entry{}, false
	}
	flags := le.Uint32(head[48:])
	h := entry{kind: 2, sm: flags & 0xff}
	if head[8] >= 8 {
		h.sm = flags >> 8 & 0xff
	}
	return Entry{Kind: SASS, SM: int(h.sm), Suffix: h.cubinSuffix(head)}, true
}
