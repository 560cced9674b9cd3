// SPDX-License-Identifier: Apache-2.0

// Package rpmdb reads the databases of RPM, held in memory: which packages are installed, and which files they
// brought. [Read] takes any of the three formats that rpm has used (Berkeley DB up to 4.15, NDB of SUSE, SQLite since
// 4.16), [Parse] the header of one package, with which an .rpm file begins as well. Every page is used at most once,
// which ends cycles and bounds work and memory by the size of the database, and no room is made by a length that a
// header claims: a database that contradicts itself gives [ErrMalformed]. The write-ahead log beside SQLite's file is not read.
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
