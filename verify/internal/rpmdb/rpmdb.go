// SPDX-License-Identifier: Apache-2.0

// Package rpmdb lists the packages of an RPM database that is held in memory.
//
// [Read] takes any of the three formats that rpm has used: Berkeley DB (up to 4.15),
// NDB (SUSE) and SQLite (since 4.16). [Parse] takes the header of one package, which
// is also what an .rpm file begins with.
//
// Databases come out of foreign images, so nothing in them is believed: every page is
// used at most once, which ends cycles and bounds the work and the memory by the size of
// the database, and no allocation is made from a length that a header claims. A
// database that contradicts itself gives [ErrMalformed]. The write-ahead log that
// SQLite may keep beside its file is not read.
package rpmdb

import (
	"bytes"
	"errors"
)

// ErrMalformed means that the data is no database of rpm, or a damaged one.
var ErrMalformed = errors.New("malformed RPM database")

// Read calls each for every package. After an error the packages before it were reported.
func Read(data []byte, each func(Package)) error {
	blobs := bdb
	switch {
	case bytes.HasPrefix(data, []byte(sqliteMagic)):
		blobs = sqlite
	case bytes.HasPrefix(data, []byte(ndbMagic)):
		blobs = ndb
	}
	return blobs(data, func(blob []byte) error {
		p, err := Parse(blob)
		if err == nil {
			each(p)
		}
		return err
	})
}

// pages hands out the pages of a database, each once.
type pages struct {
	data []byte
	size int
	used []bool
}

func newPages(data []byte, size int) *pages {
	return &pages{data: data, size: size, used: make([]bool, len(data)/size)}
}

// take returns page n, counted from 0, or ErrMalformed if it was used or is not there.
func (p *pages) take(n uint32) ([]byte, error) {
	if uint64(n) >= uint64(len(p.used)) || p.used[n] {
		return nil, ErrMalformed
	}
	p.used[n] = true
	return p.data[int(n)*p.size : (int(n)+1)*p.size], nil
}
