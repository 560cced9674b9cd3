// SPDX-License-Identifier: Apache-2.0

package dynelf

// File is a file of Size bytes of which Head holds the first bytes and Tail the
// last ones. A file that is held whole has it all in Head.
type File struct {
	Size uint64
	Head []byte
	Tail []byte
}

// Slice returns exactly the n bytes at off, ErrMalformed if the file does not
// have them, and ErrNotHeld if they were not kept.
func (f File) Slice(off, n uint64) ([]byte, error) {
	if off > f.Size || n > f.Size-off {
		return nil, ErrMalformed
	}
	head := uint64(len(f.Head))
	if off <= head && n <= head-off {
		return f.Head[off : off+n], nil
	}
	start := f.Size - min(f.Size, uint64(len(f.Tail)))
	if off >= start {
		return f.Tail[off-start : off-start+n], nil
	}
	return nil, ErrNotHeld
}

// UpTo returns the n bytes at off, or fewer where the file ends, or where the
// kept part that holds off ends.
func (f File) UpTo(off, n uint64) ([]byte, error) {
	if off >= f.Size {
		return nil, ErrMalformed
	}
	n = min(n, f.Size-off)
	if data, err := f.Slice(off, n); err == nil {
		return data, nil
	}
	if head := uint64(len(f.Head)); off < head {
		return f.Head[off:], nil
	}
	return nil, ErrNotHeld
}

// whole reports whether every byte of the file is at hand.
func (f File) whole() bool { return uint64(len(f.Head)) == f.Size }
