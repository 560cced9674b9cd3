// SPDX-License-Identifier: Apache-2.0

package rpmdb

import (
	"encoding/binary"
	"slices"
)

// The hash format of Berkeley DB (src/dbinc/db_page.h). A package's header is longer
// than a quarter of a page, so it stands on overflow pages; what stands on the hash pages
// themselves is the database's own.
const (
	bdbMagic       = 0x00061561
	bdbPageHeader  = 26
	pageHashOld    = 2  // P_HASH_UNSORTED, of rpm 4.4
	pageOverflow   = 7  // P_OVERFLOW
	pageHash       = 13 // P_HASH
	entryOffPage   = 3  // H_OFFPAGE: where the value's overflow pages begin
	offPageEntry   = 12
	offsetLastPage = 32 // of the first page
	offsetNextPage = 16
	offsetEntries  = 20
	offsetUsed     = 22 // of an overflow page: how many bytes of it are used
	offsetPageType = 25
)

func bdb(data []byte, each func([]byte) error) error {
	if len(data) < 512 {
		return ErrMalformed
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if order.Uint32(data[12:]) != bdbMagic {
		order = binary.BigEndian
	}
	size := order.Uint32(data[20:])
	if order.Uint32(data[12:]) != bdbMagic || size < 512 || size > 65536 || size&(size-1) != 0 {
		return ErrMalformed
	}
	db := hashDB{order: order, pages: newPages(data, int(size)), overflow: newPages(data, int(size))}
	if uint64(order.Uint32(data[offsetLastPage:])) >= uint64(len(db.pages.used)) {
		return ErrMalformed
	}
	for n := range uint32(len(db.pages.used)) {
		page, err := db.pages.take(n)
		if err != nil {
			return err
		}
		if t := page[offsetPageType]; t != pageHash && t != pageHashOld {
			continue
		}
		if err := db.values(page, each); err != nil {
			return err
		}
	}
	return nil
}

type hashDB struct {
	order           binary.ByteOrder
	pages, overflow *pages
}

// values hands out the values of a hash page: of the entries, which alternate between
// keys and values, every second one.
func (db *hashDB) values(page []byte, each func([]byte) error) error {
	count := int(db.order.Uint16(page[offsetEntries:]))
	if bdbPageHeader+2*count > len(page) {
		return ErrMalformed
	}
	for i := 1; i < count; i += 2 {
		at := int(db.order.Uint16(page[bdbPageHeader+2*i:]))
		if at >= len(page) {
			return ErrMalformed
		}
		if page[at] != entryOffPage {
			continue
		}
		if at+offPageEntry > len(page) {
			return ErrMalformed
		}
		value, err := db.value(db.order.Uint32(page[at+4:]), db.order.Uint32(page[at+8:]))
		if err != nil {
			return err
		}
		if err := each(value); err != nil {
			return err
		}
	}
	return nil
}

// value joins the overflow pages from page n on.
func (db *hashDB) value(n, length uint32) ([]byte, error) {
	var parts [][]byte
	for n != 0 {
		page, err := db.overflow.take(n)
		if err != nil {
			return nil, err
		}
		used := int(db.order.Uint16(page[offsetUsed:]))
		if page[offsetPageType] != pageOverflow || bdbPageHeader+used > len(page) {
			return nil, ErrMalformed
		}
		parts = append(parts, page[bdbPageHeader:bdbPageHeader+used])
		n = db.order.Uint32(page[offsetNextPage:])
	}
	value := slices.Concat(parts...)
	if uint64(length) != uint64(len(value)) {
		return nil, ErrMalformed
	}
	return value, nil
}
