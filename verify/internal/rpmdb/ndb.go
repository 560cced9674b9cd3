// SPDX-License-Identifier: Apache-2.0

package rpmdb

import "encoding/binary"

// The NDB format (rpm, lib/backend/ndb/rpmpkg.c): a header of 32 bytes, slots of 16
// bytes to the end of the slot pages, and blobs at multiples of 16 bytes.
const (
	ndbMagic    = "RpmP"
	ndbHeader   = 32
	ndbSlotPage = 4096
	ndbSlot     = 16
	ndbBlock    = 16
	slotMagic   = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	blobMagic   = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24
)

func ndb(data []byte, each func([]byte) error) error {
	le := binary.LittleEndian
	if len(data) < ndbHeader {
		return ErrMalformed
	}
	end := uint64(le.Uint32(data[12:])) * ndbSlotPage
	if end < ndbHeader || end > uint64(len(data)) {
		return ErrMalformed
	}
	left := len(data) // what all blobs together may take
	for slot := data[ndbHeader:end]; len(slot) >= ndbSlot; slot = slot[ndbSlot:] {
		if le.Uint32(slot) != slotMagic {
			return ErrMalformed
		}
		id, at := le.Uint32(slot[4:]), uint64(le.Uint32(slot[8:]))*ndbBlock
		if id == 0 {
			continue // free
		}
		blob, err := ndbBlob(data, id, at)
		if err != nil {
			return err
		}
		if left -= len(blob); left < 0 {
			return ErrMalformed
		}
		if err := each(blob); err != nil {
			return err
		}
	}
	return nil
}

// ndbBlob returns the blob at data[at]: magic, id, generation, length, content.
func ndbBlob(data []byte, id uint32, at uint64) ([]byte, error) {
	le := binary.LittleEndian
	if at+16 > uint64(len(data)) {
		return nil, ErrMalformed
	}
	head, rest := data[at:at+16], data[at+16:]
	size := le.Uint32(head[12:])
	if le.Uint32(head) != blobMagic || le.Uint32(head[4:]) != id || uint64(size) > uint64(len(rest)) {
		return nil, ErrMalformed
	}
	return rest[:size], nil
}
