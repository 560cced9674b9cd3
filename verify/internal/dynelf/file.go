// SPDX-License-Identifier: Apache-2.0

package dynelf

// File is a file of Size bytes of which the parts were kept.
type File struct {
	Size  uint64
	Parts []Part // any order; a file that is held whole has one
}

// Part is the bytes of a file from Off on.
type Part struct {
	Off  uint64
	Data []byte
}

// Whole returns a file that is held whole.
func Whole(data []byte) File {
	return File{Size: uint64(len(data)), Parts: []Part{{Data: data}}}
}

// Slice returns exactly the n bytes at off, ErrMalformed if the file does not
// have them, and ErrNotHeld if no part has all of them.
func (f File) Slice(off, n uint64) ([]byte, error) {
	if off > f.Size || n > f.Size-off {
		return nil, ErrMalformed
	}
	if data := f.from(off); n <= uint64(len(data)) {
		return data[:n], nil
	}
	return nil, ErrNotHeld
}

// UpTo returns the n bytes at off, or fewer where the file ends, or where the
// part that holds off ends.
func (f File) UpTo(off, n uint64) ([]byte, error) {
	if off >= f.Size {
		return nil, ErrMalformed
	}
	data := f.from(off)
	if len(data) == 0 {
		return nil, ErrNotHeld
	}
	return data[:min(n, uint64(len(data)))], nil
}

// from returns the longest run of kept bytes at off.
func (f File) from(off uint64) []byte {
	var best []byte
	for _, p := range f.Parts {
		if off < p.Off || off-p.Off > uint64(len(p.Data)) {
			continue
		}
		if data := p.Data[off-p.Off:]; len(data) > len(best) {
			best = data
		}
	}
	return best
}

// whole reports whether every byte of the file is at hand.
func (f File) whole() bool { return uint64(len(f.from(0))) == f.Size }
