// SPDX-License-Identifier: Apache-2.0

package dynelf

// VersionNeed is the symbol versions that a file needs of one library.
type VersionNeed struct {
	Lib      string   `json:"lib"` // as in Info.Needed
	Versions []string `json:"versions"`
}

// maxVersions bounds the entries of one version table, so that links that go back
// and forth cost nothing. The most seen is 340.
const maxVersions = 4096

// flagBase marks the definition that is the file's own name, flagWeak a version
// that need not exist.
const (
	flagBase = 1
	flagWeak = 2
)

// versionNeeds walks the Verneed records: version, count, file, aux, next; each
// leads to Vernaux records: hash, flags, other, name, next.
func (r *reader) versionNeeds(d tables, strings *texts) []VersionNeed {
	var needs []VersionNeed
	s := &steps{left: maxVersions}
	r.chain(d.verneed, d.verneednum, 16, s, func(record []byte) uint32 {
		need := VersionNeed{Lib: strings.name(uint64(r.order.Uint32(record[4:])), MaxNameLen)}
		walk(record, r.order.Uint32(record[8:]), uint64(r.order.Uint16(record[2:])), 16, s, func(aux []byte) uint32 {
			if r.order.Uint16(aux[4:])&flagWeak == 0 {
				name := strings.name(uint64(r.order.Uint32(aux[8:])), MaxNameLen)
				r.versions[r.order.Uint16(aux[6:])&versionIndex] = name
				need.Versions = append(need.Versions, name)
			}
			return r.order.Uint32(aux[12:])
		})
		needs = append(needs, need)
		return r.order.Uint32(record[12:])
	})
	return needs
}

// versionDefs walks the Verdef records: version, flags, index, count, hash, aux,
// next; the first Verdaux record of each begins with the name.
func (r *reader) versionDefs(d tables, strings *texts) []string {
	var defs []string
	s := &steps{left: maxVersions}
	r.chain(d.verdef, d.verdefnum, 20, s, func(record []byte) uint32 {
		if r.order.Uint16(record[2:])&flagBase == 0 {
			walk(record, r.order.Uint32(record[12:]), 1, 8, s, func(aux []byte) uint32 {
				name := strings.name(uint64(r.order.Uint32(aux)), MaxNameLen)
				r.versions[r.order.Uint16(record[4:])&versionIndex] = name
				defs = append(defs, name)
				return 0
			})
		}
		return r.order.Uint32(record[16:])
	})
	return defs
}

// steps bounds a walk.
type steps struct {
	left int
	past bool // it came to the end of the bytes
}

// chain walks the records of a table at an address, if there is one.
func (r *reader) chain(addr, count uint64, size int, s *steps, each func([]byte) uint32) {
	p, err := r.place(addr)
	if addr == 0 || err != nil {
		return
	}
	table, err := r.f.UpTo(p.off, p.n)
	walk(table, 0, count, size, s, each)
	r.missed = r.missed || err != nil || s.past && uint64(len(table)) < p.n
}

// walk calls each for up to count records of at least size bytes, the first at
// off. Each returns how far behind it the next one lies, 0 for none.
func walk(table []byte, off uint32, count uint64, size int, s *steps, each func([]byte) uint32) {
	for ; count > 0 && s.left > 0; count-- {
		if uint64(off)+uint64(size) > uint64(len(table)) {
			s.past = true
			return
		}
		s.left--
		table = table[off:]
		if off = each(table); off == 0 {
			return
		}
	}
}
