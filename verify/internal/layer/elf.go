// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
	"github.com/cudabuild/cudabuild/verify/internal/spool"
)

// An ELF file of up to wholeELF bytes is held whole. Of a bigger one, its first
// headELF and last tailELF bytes, program headers and dynamic section are held: linkers put
// the symbol tables in front, patchelf puts them at the end. Where else tables lie shows when
// they have passed: the rest is held on disk.
const (
	wholeELF = 48 << 20
	headELF  = 39 << 20
	tailELF  = 8 << 20
)

// elfHeaderSize is the least that an ELF file of either class has.
const elfHeaderSize = 52

// elfBuffer is reused between files. It has room for the largest one from the start,
// which takes no memory before something is read into it, and leaves no garbage.
type elfBuffer struct{ head, mid, tail []byte }

// elfBuffers are free; unlike a sync.Pool it is not emptied by garbage collection.
var elfBuffers = make(chan *elfBuffer, 8)

func newELFBuffer() *elfBuffer {
	select {
	case b := <-elfBuffers:
		return b
	default:
		return &elfBuffer{head: make([]byte, 0, wholeELF)}
	}
}

func (b *elfBuffer) free() {
	select {
	case elfBuffers <- b:
	default:
	}
}

// stream searches a file that is not held for what its texts say.
func (w *walker) stream(k sniff.Kind, h *tar.Header, body io.Reader) (c content, err error) {
	c = content{size: h.Size, notELF: k == sniff.Script}
	c.texts, err = w.rules.Stream(k, h.Size, body)
	return c, err
}

// examine reads body as far as needed to tell what it is. The error is that of
// the archive; a file that makes no sense is recorded as unreadable.
func (w *walker) examine(p string, h *tar.Header, body io.Reader) (content, error) {
	c := content{size: h.Size}
	if h.Size < elfHeaderSize {
		c.notELF = h.Size > 0
		return c, nil
	}
	var head [20]byte
	if _, err := io.ReadFull(body, head[:]); err != nil {
		return c, err
	}
	if isDeviceCode(head[:]) {
		return c, w.looseCode(p, head[:], h.Size, body)
	}
	c.notELF = string(head[:4]) != "\x7fELF"
	if c.notELF || !mayBeDynamic(head[:]) {
		return c, nil
	}
	buf := newELFBuffer()
	defer buf.free()
	code, rest := newDeviceScan(p, h.Size, head[:]), w.budget.space.New()
	defer rest.Close()
	file, err := buf.read(head[:], h.Size, io.TeeReader(body, code), rest)
	if err != nil {
		return c, err
	}
	info, err := dynelf.Read(file, w.rules.Symbols)
	if errors.Is(err, dynelf.ErrNotHeld) {
		largeRecord.Lock()
		defer largeRecord.Unlock()
		tables, held := tablesOf(&file, rest)
		defer tables.free()
		if info, err = dynelf.Read(file, w.rules.Symbols); err != nil {
			err = cmp.Or(held, err)
		}
	}
	w.deviceCode(code, info)
	switch {
	case err == nil:
		c.elf = &info
		c.texts = w.rules.Texts(p, file, &info)
		c.opens = !slices.Contains(info.Needed, "libc.so.6") && rules.InParts(file.Parts, "libcuda.so.1")
	case !errors.Is(err, dynelf.ErrNotDynamic):
		w.unreadable(p, fmt.Sprintf("ELF file: %v", err))
	}
	return c, nil
}

// tablesOf adds the tables of a file to its parts, from these and from rest, which has what
// is between them. The caller frees their memory.
func tablesOf(file *dynelf.File, rest *spool.File) (*elfBuffer, error) {
	buf, held := newELFBuffer(), file.Parts
	room := buf.head[:wholeELF]
	for _, r := range dynelf.Tables(*file, wholeELF) {
		data := room[:0:r.N]
		for uint64(len(data)) < r.N {
			more, err := goOn(data, r.Off, held, rest)
			if err != nil {
				return buf, err
			}
			if len(more) == len(data) {
				break
			}
			data = more
		}
		file.Parts = append(file.Parts, dynelf.Part{Off: r.Off, Data: data})
		room = room[r.N:]
	}
	return buf, rest.Err()
}

// goOn appends to data, which is what a file has from off on, what follows there as far as
// its capacity and one part go; data itself if no part has that.
func goOn(data []byte, off uint64, held []dynelf.Part, rest *spool.File) ([]byte, error) {
	at, most := off+uint64(len(data)), uint64(cap(data)-len(data))
	for _, p := range held {
		if at >= p.Off && at-p.Off < uint64(len(p.Data)) {
			from := at - p.Off
			return append(data, p.Data[from:min(uint64(len(p.Data)), from+most)]...), nil
		}
	}
	for _, p := range rest.Parts() {
		if from := int64(at) - p.Off; from >= 0 && from < p.N {
			n := min(p.N-from, int64(most))
			_, err := rest.ReadAt(data[len(data):int64(len(data))+n], int64(at))
			return data[:int64(len(data))+n], err
		}
	}
	return data, nil
}

// mayBeDynamic rules out object files and cores by e_type.
func mayBeDynamic(head []byte) bool {
	kind := uint16(head[16]) | uint16(head[17])<<8
	if head[5] == 2 {
		kind = uint16(head[17]) | uint16(head[16])<<8
	}
	return kind == 2 || kind == 3
}

// read holds a file of size bytes of which start was read from body already; rest gets what
// it does not keep.
func (b *elfBuffer) read(start []byte, size int64, body io.Reader, rest *spool.File) (dynelf.File, error) {
	keep := size
	if size > wholeELF {
		keep = headELF
	}
	f := dynelf.File{Size: uint64(size)}
	var err error
	if b.head, err = readMore(append(b.head[:0], start...), keep-int64(len(start)), body); err != nil {
		return f, err
	}
	f.Parts = []dynelf.Part{{Data: b.head}}
	if size <= wholeELF {
		return f, nil
	}
	at, last := uint64(keep), f.Size-tailELF
	for b.mid = b.mid[:0]; ; {
		lead, ok := dynelf.Lead(f)
		if !ok || lead.Off < at || lead.Off >= last {
			break
		}
		if err := skip(body, at, lead.Off, f, rest); err != nil {
			return f, err
		}
		from := len(b.mid)
		at = min(lead.Off+lead.N, last)
		if b.mid, err = readMore(b.mid, int64(at-lead.Off), body); err != nil {
			return f, err
		}
		f.Parts = append(f.Parts, dynelf.Part{Off: lead.Off, Data: b.mid[from:]})
	}
	if err := skip(body, at, last, f, rest); err != nil {
		return f, err
	}
	b.tail, err = readMore(b.tail[:0], tailELF, body)
	f.Parts = append(f.Parts, dynelf.Part{Off: f.Size - tailELF, Data: b.tail})
	return f, err
}

// skip reads what a file has between two offsets. What may be tables goes to rest: all of it,
// if what is held of the file does not tell.
func skip(r io.Reader, from, to uint64, held dynelf.File, rest *spool.File) error {
	ranges, ok := dynelf.Movable(held)
	if !ok {
		ranges = []dynelf.Range{{Off: from, N: to - from}}
	}
	slices.SortFunc(ranges, func(a, b dynelf.Range) int { return cmp.Compare(a.Off, b.Off) })
	for _, m := range ranges {
		begin, end := min(max(m.Off, from), to), min(max(m.Off+m.N, from), to)
		if err := readers.Discard(r, int64(begin-from)); err != nil {
			return err
		}
		if _, err := io.CopyN(io.NewOffsetWriter(rest, int64(begin)), r, int64(end-begin)); err != nil {
			return err
		}
		from = end
	}
	return readers.Discard(r, int64(to-from))
}

// readMore appends n bytes of r to buf, in steps that at most double it.
func readMore(buf []byte, n int64, r io.Reader) ([]byte, error) {
	for n > 0 {
		step := int(min(n, max(int64(len(buf)), 1<<20)))
		if free := cap(buf) - len(buf); free > step {
			step = int(min(n, int64(free)))
		}
		old := len(buf)
		if cap(buf)-old < step {
			buf = append(buf, make([]byte, step)...)
		}
		buf = buf[:old+step]
		if _, err := io.ReadFull(r, buf[old:]); err != nil {
			return buf, err
		}
		n -= int64(step)
	}
	return buf, nil
}
