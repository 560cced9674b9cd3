// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/binary"
)

// kind is what the first bytes of a file say it is, as far as it matters here.
type kind int

const (
	kindOther  kind = iota
	kindObject      // ELF object file: kernel modules and firmware are
	kindScript
	kindDeb
	kindRPM
	kindTar
	kindZip
	kindGzip
	kindZstd
	kindXz
	kindBzip2
)

var magics = []struct {
	at    int
	bytes string
	kind  kind
}{
	{0, "#!", kindScript},
	{0, "!<arch>\ndebian-binary", kindDeb},
	{0, "\xed\xab\xee\xdb", kindRPM},
	{257, "ustar", kindTar},
	{0, "PK\x03\x04", kindZip},
	{0, "\x1f\x8b\x08", kindGzip},
	{0, "\x28\xb5\x2f\xfd", kindZstd},
	{0, "\xfd7zXZ\x00", kindXz},
	{0, "BZh", kindBzip2},
}

func sniff(head []byte) kind {
	if bytes.HasPrefix(head, []byte("\x7fELF")) {
		if isObject(head) {
			return kindObject
		}
		return kindOther
	}
	for _, m := range magics {
		if len(head) >= m.at && bytes.HasPrefix(head[m.at:], []byte(m.bytes)) {
			return m.kind
		}
	}
	return kindOther
}

// isObject reports whether an ELF file is ET_REL, but not for a GPU.
func isObject(head []byte) bool {
	const relocatable, machineCUDA = 1, 190
	if len(head) < 20 {
		return false
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if head[5] == 2 {
		order = binary.BigEndian
	}
	return order.Uint16(head[16:]) == relocatable && order.Uint16(head[18:]) != machineCUDA
}

// compressed reports whether the kind is one stream that holds one file.
func (k kind) compressed() bool {
	return k == kindGzip || k == kindZstd || k == kindXz || k == kindBzip2
}
