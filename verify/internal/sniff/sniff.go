// SPDX-License-Identifier: Apache-2.0

// Package sniff tells by its first bytes what kind of file one is, as far as it matters here.
package sniff

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/bits"
	"strconv"
)

// Kind is what the first bytes of a file say it is.
type Kind int

// Len is how many of them tell.
const Len = 512

// The kinds.
const (
	Other  Kind = iota
	Object      // ELF object file: kernel modules and firmware are
	Script
	Ar
	RPM
	Tar
	Zip
	Gzip
	Zstd
	Xz
	Bzip2
	Cpio
	Sealed // an archive of a format that is not read
)

// ArMagic begins Debian packages, and static libraries.
const ArMagic = "!<arch>\n"

var magics = []struct {
	bytes string
	kind  Kind
}{
	{"#!", Script},
	{ArMagic, Ar},
	{"\xed\xab\xee\xdb", RPM},
	{"PK\x03\x04", Zip},
	{"PK00PK\x03\x04", Zip}, // APPNOTE.TXT 8.5.4: was made to be split, and was not
	{"PK\x07\x08PK\x03\x04", Zip},
	{"JM\x01\x00PK\x03\x04", Zip}, // a module of a JDK
	{"\x1f\x8b\x08", Gzip},
	{"\x28\xb5\x2f\xfd", Zstd},
	{"\xfd7zXZ\x00", Xz},
	{"7z\xbc\xaf\x27\x1c", Sealed},
	{"Rar!\x1a\x07", Sealed},
	{"hsqs", Sealed},             // squashfs
	{"\x04\x22\x4d\x18", Sealed}, // lz4
	{"\x02\x21\x4c\x18", Sealed}, // lz4 -l
	{"LZIP\x01", Sealed},
	{"LZIP\x00", Sealed},
}

// Of tells what a file is. A tar header is known by its checksum, which no other
// format has by accident, and so comes first.
func Of(head []byte) Kind {
	switch {
	case IsTar(head) && !IsELF(head):
		return Tar
	case IsELF(head) && isObject(head):
		return Object
	case IsSkippable(head):
		return Zstd
	case isCpio(head):
		return Cpio
	case isLzma(head):
		return Sealed
	case IsBzip2(head):
		return Bzip2
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.bytes)) {
			return m.kind
		}
	}
	return Other
}

// IsELF wants more than the magic number, which a name in a tar header may be:
// a class and a byte order, without which nothing loads the file.
func IsELF(head []byte) bool {
	return len(head) >= 6 && string(head[:4]) == "\x7fELF" && (head[4] == 1 || head[4] == 2) && (head[5] == 1 || head[5] == 2)
}

// IsTar reports whether head begins with the header of a tar entry of any format, by
// its checksum: some add up signed bytes.
func IsTar(head []byte) bool {
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

// isLzma knows what xz(1) takes for .lzma: parameters that go together, a dictionary of
// 2 to a power or half as much again, a size that is unknown or under 256 GiB; and data
// that begins with a byte of zero and a literal.
func isLzma(head []byte) bool {
	if len(head) < 15 || head[0] >= 225 || head[0]%45/9+head[0]%9 > 4 || head[13] != 0 || head[14] >= 0x80 {
		return false
	}
	dict, size := binary.LittleEndian.Uint32(head[1:]), binary.LittleEndian.Uint64(head[5:])
	if dict < 4<<10 || size == 0 || size >= 1<<38 && size != math.MaxUint64 {
		return false
	}
	half := uint32(1) << (bits.Len32(dict) - 2)
	return bits.OnesCount32(dict&^half) == 1 || dict == math.MaxUint32
}

// What follows "BZh" and a digit: a block, or the end of a stream without any.
const (
	bzip2Block = "1AY&SY"
	bzip2End   = "\x17\x72\x45\x38\x50\x90"
)

// IsBzip2 wants more than three letters, which are text.
func IsBzip2(head []byte) bool {
	return len(head) >= 10 && string(head[:3]) == "BZh" && (string(head[4:10]) == bzip2Block || string(head[4:10]) == bzip2End)
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

// Compressed reports whether the kind is one stream that holds one file.
func (k Kind) Compressed() bool {
	return k == Gzip || k == Zstd || k == Xz || k == Bzip2
}

// IsSkippable recognises a zstd skippable frame, which a file may begin with.
func IsSkippable(magic []byte) bool {
	return len(magic) >= 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:4], []byte{0x2a, 0x4d, 0x18})
}
