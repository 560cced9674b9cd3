// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strconv"
	"strings"
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
	kindCpio
	kindSealed // an archive of a format that is not read
)

var magics = []struct {
	bytes string
	kind  kind
}{
	{"#!", kindScript},
	{"!<arch>\ndebian-binary", kindDeb},
	{"\xed\xab\xee\xdb", kindRPM},
	{"PK\x03\x04", kindZip},
	{"PK00PK\x03\x04", kindZip}, // APPNOTE.TXT 8.5.4: was made to be split, and was not
	{"PK\x07\x08PK\x03\x04", kindZip},
	{"JM\x01\x00PK\x03\x04", kindZip}, // a module of a JDK
	{"\x1f\x8b\x08", kindGzip},
	{"\x28\xb5\x2f\xfd", kindZstd},
	{"\xfd7zXZ\x00", kindXz},
	{"BZh", kindBzip2},
	{"7z\xbc\xaf\x27\x1c", kindSealed},
	{"Rar!\x1a\x07", kindSealed},
	{"hsqs", kindSealed},             // squashfs
	{"\x04\x22\x4d\x18", kindSealed}, // lz4
	{"LZIP\x01", kindSealed},
}

// sniff tells what a file is. A tar header is known by its checksum, which no other
// format has by accident, and so comes first.
func sniff(head []byte) kind {
	switch {
	case isTar(head) && !isELF(head):
		return kindTar
	case isELF(head) && isObject(head):
		return kindObject
	case isSkippable(head):
		return kindZstd
	case isCpio(head):
		return kindCpio
	case isLzma(head):
		return kindSealed
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.bytes)) {
			return m.kind
		}
	}
	return kindOther
}

// isELF wants more than the magic number, which a name in a tar header may be:
// a class and a byte order, without which nothing loads the file.
func isELF(head []byte) bool {
	return len(head) >= 6 && string(head[:4]) == "\x7fELF" && (head[4] == 1 || head[4] == 2) && (head[5] == 1 || head[5] == 2)
}

// isTar reports whether head begins with the header of a tar entry of any format, by
// its checksum: some add up signed bytes.
func isTar(head []byte) bool {
	const size, from, to = 512, 148, 156
	if len(head) < size {
		return false
	}
	want, err := strconv.ParseInt(string(bytes.Trim(head[from:to], " \x00")), 8, 64)
	if err != nil {
		return false
	}
	var sum, signed int64
	for i, b := range head[:size] {
		if i >= from && i < to {
			b = ' '
		}
		sum, signed = sum+int64(b), signed+int64(int8(b))
	}
	return want == sum || want == signed
}

// isCpio knows the format "newc", with or without checksums: 110 digits.
func isCpio(head []byte) bool {
	const size = 110
	if !bytes.HasPrefix(head, []byte("070701")) && !bytes.HasPrefix(head, []byte("070702")) || len(head) < size {
		return false
	}
	_, err := hex.DecodeString(string(head[:size]))
	return err == nil
}

// isLzma knows what xz(1) writes as .lzma: default parameters, a dictionary of a power
// of 2, and no size.
func isLzma(head []byte) bool {
	if len(head) < 13 || string(head[:3]) != "\x5d\x00\x00" || string(head[5:13]) != strings.Repeat("\xff", 8) {
		return false
	}
	return bits.OnesCount16(binary.LittleEndian.Uint16(head[3:])) <= 2
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
