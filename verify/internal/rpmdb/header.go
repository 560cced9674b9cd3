// SPDX-License-Identifier: Apache-2.0

package rpmdb

import (
	"bytes"
	"encoding/binary"
)

// Package is one package of a database.
type Package struct {
	Name    string
	Version string // "version-release", with "epoch:" before it if there is one
	Arch    string // "" for one that is none, a key of a repository
	License string
	Source  string // the file of the source package
	header  header
}

// Tags of a header (rpm, include/rpm/rpmtag.h).
const (
	tagName      = 1000
	tagVersion   = 1001
	tagRelease   = 1002
	tagEpoch     = 1003
	tagLicense   = 1014
	tagArch      = 1022
	tagOldNames  = 1027
	tagSource    = 1044
	tagDirIndex  = 1116
	tagBaseNames = 1117
	tagDirNames  = 1118
)

// header is a header structure: a 16-byte index entry (tag, type, offset, count) for
// each tag, and the data that offsets count from.
type header struct{ index, data []byte }

const indexEntry = 16

// Parse reads one header structure, from the count of its index entries on.
func Parse(blob []byte) (Package, error) {
	if len(blob) < 8 {
		return Package{}, ErrMalformed
	}
	index, data := uint64(binary.BigEndian.Uint32(blob))*indexEntry, uint64(binary.BigEndian.Uint32(blob[4:]))
	if index+data > uint64(len(blob)-8) {
		return Package{}, ErrMalformed
	}
	p := Package{header: header{index: blob[8 : 8+index], data: blob[8+index : 8+index+data]}}
	p.Name = p.header.text(tagName)
	if p.Name == "" {
		return Package{}, ErrMalformed
	}
	p.Version = p.header.text(tagVersion) + "-" + p.header.text(tagRelease)
	if epoch := p.header.numbers(tagEpoch); len(epoch) == 4 {
		p.Version = digits(binary.BigEndian.Uint32(epoch)) + ":" + p.Version
	}
	p.Arch, p.License, p.Source = p.header.text(tagArch), p.header.text(tagLicense), p.header.text(tagSource)
	return p, nil
}

func digits(n uint32) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return digits(n/10) + string(rune('0'+n%10))
}

// Files calls each with the absolute path of every file of the package.
func (p Package) Files(each func(string)) {
	if old, n := p.header.value(tagOldNames); n > 0 {
		for _, name := range split(old, n) {
			each(string(name))
		}
		return
	}
	names, n := p.header.value(tagBaseNames)
	dirNames, dirs := p.header.value(tagDirNames)
	dir, index := split(dirNames, dirs), p.header.numbers(tagDirIndex)
	for i, name := range split(names, n) {
		if len(index) < 4*(i+1) {
			return
		}
		if at := binary.BigEndian.Uint32(index[4*i:]); uint64(at) < uint64(len(dir)) {
			each(string(dir[at]) + string(name))
		}
	}
}

// value returns the data of a tag, up to the end of all data, and its count.
func (h header) value(tag uint32) ([]byte, uint32) {
	be := binary.BigEndian
	for e := h.index; len(e) >= indexEntry; e = e[indexEntry:] {
		if off := be.Uint32(e[8:]); be.Uint32(e) == tag && uint64(off) <= uint64(len(h.data)) {
			return h.data[off:], be.Uint32(e[12:])
		}
	}
	return nil, 0
}

func (h header) text(tag uint32) string {
	data, n := h.value(tag)
	if parts := split(data, min(n, 1)); len(parts) == 1 {
		return string(parts[0])
	}
	return ""
}

// numbers returns the 32-bit numbers of a tag as bytes.
func (h header) numbers(tag uint32) []byte {
	data, n := h.value(tag)
	return data[:min(4*uint64(n), uint64(len(data)&^3))]
}

// split returns up to n strings that end in NUL.
func split(data []byte, n uint32) [][]byte {
	var parts [][]byte
	for ; n > 0; n-- {
		end := bytes.IndexByte(data, 0)
		if end < 0 {
			break
		}
		parts = append(parts, data[:end])
		data = data[end+1:]
	}
	return parts
}
