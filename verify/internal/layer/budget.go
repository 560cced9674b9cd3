// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"fmt"
	"io"

	"github.com/cudabuild/cudabuild/verify/internal/spool"
)

// What one layer may take, over all archives in it.
const (
	maxDecoded = 64 << 30 // bytes that nested archives decode to, and as many of sparse files
	// Archives of a layer may decode to so many times its size, once they exceed minDecoded:
	// an archive of archives of zeros takes seconds for a few hundred bytes.
	maxDecodedRatio = 500
	minDecoded      = 256 << 20
	maxSpooled      = 4 << 30 // bytes on disk at a time; the largest libraries have 2 GiB
)

// What may be kept of one archive, in bytes with what maps and slices take. Findings, links
// at driver names and packages that are beyond it make the verdict "unknown"; what only
// explains a finding is left out. It is little beside the 48 MiB of one file that a
// layer holds while it is read.
const (
	maxText   = 16 << 20
	maxHard   = 16 << 20 // hard links whose target is not judged yet: 100,000 and more
	maxOwners = 4 << 20  // packages, and files of theirs that a rule may be about
	maxLinker = 32 << 20 // for the dynamic linker: some 180,000 links, or 60,000 libraries
	maxTables = 8 << 20  // symbols of files: of a layer with more, those of the last are not known
	maxCode   = 16 << 20 // paths and lists of device code
	maxLines  = 1 << 20  // different beginnings of files that may be executed
	perEntry  = 64       // of a map or a slice
	maxListed = 8 << 20  // packages of all kinds: 30,000 and more; of a layer with more, the list is not known
	maxShared = 1 << 18  // directories and libraries to which others than root may write, by number
)

// room is what is left of a limit.
type room int64

// spend takes n, and if there is less, all for good: whoever goes on all the same gets no more.
func (r *room) spend(n int64) bool {
	if n > int64(*r) {
		*r = -1
		return false
	}
	*r -= room(n)
	return true
}

// over reports whether more was to be spent than there was.
func (r *room) over() bool { return *r < 0 }

// keep takes the bytes of one more entry with so much text, if there are as many.
func (r *room) keep(text int) bool {
	n := int64(text + perEntry)
	return n <= int64(*r) && r.spend(n)
}

// budget is what is left for one layer and one archive.
type budget struct {
	*shared
	entries                                                           *room // of the layer's own archive, or of all those in it
	text, hard, owners, linker, tables, code, lines, listed, writable room
}

// shared is what all archives of a layer take from.
type shared struct {
	own, nested room // entries
	archives    room // bytes that they decode to
	sparse      room // bytes of sparse files
	space       *spool.Space
}

// newBudget is that of a layer whose blob has size bytes; one of unknown size, 0, may decode to all.
func newBudget(o Options, size int64) budget {
	s := shared{own: room(o.MaxEntries), nested: room(o.MaxEntries), archives: maxDecoded, sparse: maxDecoded, space: spool.NewSpace(o.TempDir, maxSpooled)}
	if size > 0 && size < maxDecoded/maxDecodedRatio {
		s.archives = room(min(maxDecoded, minDecoded+maxDecodedRatio*size))
	}
	b := budget{shared: &s}.inner()
	b.entries = &s.own
	return b
}

// inner is the budget of an archive inside.
func (b budget) inner() budget {
	return budget{b.shared, &b.nested, maxText, maxHard, maxOwners, maxLinker, maxTables, maxCode, maxLines, maxListed, maxShared}
}

// decoded is r, an archive's decoder, up to what the archives of the layer may decode to.
func (b budget) decoded(r io.Reader) io.Reader { return &decodedReader{r, &b.archives} }

type decodedReader struct {
	r    io.Reader
	left *room
}

func (d *decodedReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if !d.left.spend(int64(n)) {
		return 0, errDecoded
	}
	return n, err
}

// entriesError is how many entries archives may have that have more.
type entriesError int

func (e entriesError) Error() string { return fmt.Sprintf("archive has more than %d entries", int(e)) }

var errDecoded = fmt.Errorf("nested archives or sparse files hold more than %d bytes, or %d times the size of the layer", int64(maxDecoded), maxDecodedRatio)
