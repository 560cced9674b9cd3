// SPDX-License-Identifier: Apache-2.0

package rpmdb

import "encoding/binary"

// The file format of SQLite, as far as one table is concerned: b-tree pages, cells,
// records and overflow pages (https://www.sqlite.org/fileformat.html, sections 1 and 2).
const (
	sqliteMagic   = "SQLite format 3\x00"
	sqliteHeader  = 100 // before the b-tree header of page 1
	pageInterior  = 5
	pageLeaf      = 13
	packagesTable = "Packages"
)

func sqlite(data []byte, each func([]byte) error) error {
	if len(data) < 512 {
		return ErrMalformed
	}
	size := int(binary.BigEndian.Uint16(data[16:]))
	if size == 1 {
		size = 65536
	}
	usable := size - int(data[20])
	if size < 512 || size&(size-1) != 0 || usable < 480 {
		return ErrMalformed
	}
	db := tableDB{pages: newPages(data, size), usable: usable}
	var root uint32
	err := db.rows(1, func(record []byte) error { // type, name, tbl_name, rootpage, sql
		c := columns(record)
		if len(c) >= 4 && string(c[0]) == "table" && string(c[1]) == packagesTable {
			root = uint32(number(c[3]))
		}
		return nil
	})
	if err != nil || root == 0 {
		return ErrMalformed
	}
	return db.rows(root, func(record []byte) error { // hnum, blob
		c := columns(record)
		if len(c) != 2 {
			return ErrMalformed
		}
		return each(c[1])
	})
}

type tableDB struct {
	pages  *pages
	usable int // bytes of a page that SQLite uses
}

// rows walks the b-tree at page root, counted from 1. Every page is used once, so the
// depth is bounded; the stack of pages to visit holds page numbers alone.
func (db *tableDB) rows(root uint32, each func([]byte) error) error {
	for todo := []uint32{root}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		page, err := db.pages.take(n - 1)
		if err != nil {
			return err
		}
		at := 0
		if n == 1 {
			at = sqliteHeader
		}
		switch page[at] {
		case pageInterior:
			below, err := children(page, at)
			if err != nil {
				return err
			}
			todo = append(todo, below...)
		case pageLeaf:
			if err := db.leaf(page, at, each); err != nil {
				return err
			}
		default:
			return ErrMalformed
		}
	}
	return nil
}

// children returns the child pages of an interior page, the first one last.
func children(page []byte, at int) ([]uint32, error) {
	count := int(binary.BigEndian.Uint16(page[at+3:]))
	if at+12+2*count > len(page) {
		return nil, ErrMalformed
	}
	list := []uint32{binary.BigEndian.Uint32(page[at+8:])}
	for i := count - 1; i >= 0; i-- {
		cell := int(binary.BigEndian.Uint16(page[at+12+2*i:]))
		if cell+4 > len(page) {
			return nil, ErrMalformed
		}
		list = append(list, binary.BigEndian.Uint32(page[cell:]))
	}
	return list, nil
}

func (db *tableDB) leaf(page []byte, at int, each func([]byte) error) error {
	count := int(binary.BigEndian.Uint16(page[at+3:]))
	if at+8+2*count > len(page) {
		return ErrMalformed
	}
	for i := range count {
		cell := int(binary.BigEndian.Uint16(page[at+8+2*i:]))
		if cell >= len(page) {
			return ErrMalformed
		}
		record, err := db.payload(page[cell:])
		if err != nil {
			return err
		}
		if err := each(record); err != nil {
			return err
		}
	}
	return nil
}

// payload returns the record of a leaf cell: length, row ID, the bytes held here, and the
// page where the rest begins if they do not fit.
func (db *tableDB) payload(cell []byte) ([]byte, error) {
	length, n := varint(cell)
	_, m := varint(cell[n:])
	cell = cell[n+m:]
	if n == 0 || m == 0 || length > uint64(len(db.pages.data)) {
		return nil, ErrMalformed
	}
	local := db.local(int(length))
	if local > len(cell) {
		return nil, ErrMalformed
	}
	if uint64(local) == length {
		return cell[:local], nil
	}
	if local+4 > len(cell) {
		return nil, ErrMalformed
	}
	record := append([]byte(nil), cell[:local]...)
	for next := binary.BigEndian.Uint32(cell[local:]); uint64(len(record)) < length; {
		page, err := db.pages.take(next - 1)
		if err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(page)
		record = append(record, page[4:4+min(db.usable-4, int(length)-len(record))]...)
	}
	return record, nil
}

// local reports how many bytes of a record of this length stand in its cell.
func (db *tableDB) local(length int) int {
	most, least := db.usable-35, (db.usable-12)*32/255-23
	if length <= most {
		return length
	}
	if k := least + (length-least)%(db.usable-4); k <= most {
		return k
	}
	return least
}

// columns splits a record: the length of its header, the type of each column, the values.
func columns(record []byte) [][]byte {
	end, n := varint(record)
	if n == 0 || end > uint64(len(record)) || end < uint64(n) {
		return nil
	}
	types, values := record[n:end], record[end:]
	var list [][]byte
	for len(types) > 0 {
		t, n := varint(types)
		size := columnSize(t)
		if n == 0 || size > uint64(len(values)) {
			return nil
		}
		list = append(list, values[:size])
		types, values = types[n:], values[size:]
	}
	return list
}

func columnSize(t uint64) uint64 {
	switch {
	case t >= 12:
		return (t - 12) / 2
	case t <= 4:
		return t
	case t == 5:
		return 6
	case t <= 7:
		return 8
	}
	return 0
}

func number(value []byte) (n uint64) {
	for _, b := range value {
		n = n<<8 | uint64(b)
	}
	return n
}

// varint reads a big-endian base-128 number of up to 9 bytes; n is 0 if it is cut off.
func varint(data []byte) (value uint64, n int) {
	for i := range min(len(data), 9) {
		if i == 8 {
			return value<<8 | uint64(data[i]), 9
		}
		value = value<<7 | uint64(data[i]&0x7f)
		if data[i] < 0x80 {
			return value, i + 1
		}
	}
	return 0, 0
}
