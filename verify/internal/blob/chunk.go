// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"context"
)

// chunkReader reads what a stage sends.
type chunkReader struct {
	ctx context.Context
	in  <-chan chunk
	cur chunk
	pos int   // in cur
	n   int64 // bytes consumed
}

// Read implements io.Reader.
func (r *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.next(); err != nil {
		return 0, err
	}
	n := copy(p, r.cur.buf[r.pos:r.cur.n])
	r.advance(n)
	return n, nil
}

// peek returns the bytes of the current chunk: of the first one of a blob at least
// magicSize, unless the blob ends before.
func (r *chunkReader) peek() []byte {
	if r.next() != nil {
		return nil
	}
	return r.cur.buf[r.pos:r.cur.n]
}

func (r *chunkReader) advance(n int) {
	r.pos += n
	r.n += int64(n)
}

// drop gives the current chunk's buffer back. Its error stays.
func (r *chunkReader) drop() {
	if r.cur.buf != nil {
		chunkPool.Put(r.cur.buf)
	}
	r.cur, r.pos = chunk{err: r.cur.err}, 0
}

// next makes sure that cur has an unread byte.
func (r *chunkReader) next() error {
	for r.pos == r.cur.n {
		r.drop()
		if r.cur.err != nil {
			return r.cur.err
		}
		r.cur = r.receive()
	}
	return nil
}

func (r *chunkReader) receive() chunk {
	select {
	case c := <-r.in:
		return c
	case <-r.ctx.Done():
		return chunk{err: context.Cause(r.ctx)}
	}
}
