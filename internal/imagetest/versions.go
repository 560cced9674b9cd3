// SPDX-License-Identifier: Apache-2.0

package imagetest

import (
	"encoding/binary"
	"maps"
	"slices"
)

// versionNeeds returns the Verneed table: a record for each library, each followed
// by its Vernaux records.
func (e ELF) versionNeeds(intern func(string) uint64) (table []byte) {
	le := binary.LittleEndian
	libs := slices.Sorted(maps.Keys(e.VersionNeeds))
	for i, lib := range libs {
		versions := e.VersionNeeds[lib]
		next := uint32(16 + 16*len(versions))
		if i == len(libs)-1 {
			next = 0
		}
		table = le.AppendUint16(table, 1)
		table = le.AppendUint16(table, uint16(len(versions)))
		table = le.AppendUint32(table, uint32(intern(lib)))
		table = le.AppendUint32(table, 16)
		table = le.AppendUint32(table, next)
		for k, v := range versions {
			next := uint32(16)
			if k == len(versions)-1 {
				next = 0
			}
			table = le.AppendUint64(table, 0) // hash, flags, other
			table = le.AppendUint32(table, uint32(intern(v)))
			table = le.AppendUint32(table, next)
		}
	}
	return table
}

// versionDefs returns the Verdef table, which begins with the file's own name.
func (e ELF) versionDefs(intern func(string) uint64) (table []byte) {
	le := binary.LittleEndian
	names := append([]string{e.SOName}, e.VersionDefs...)
	for i, name := range names {
		flags, next := uint16(0), uint32(28)
		if i == 0 {
			flags = 1
		}
		if i == len(names)-1 {
			next = 0
		}
		for _, half := range []uint16{1, flags, uint16(i + 1), 1} {
			table = le.AppendUint16(table, half)
		}
		for _, word := range []uint32{0, 20, next, uint32(intern(name)), 0} { // hash, aux, next; the aux record
			table = le.AppendUint32(table, word)
		}
	}
	return table
}
