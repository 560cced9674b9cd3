// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"context"
)

// pipe reads what a stage sends.
type pipe struct {
	ctx context.Context
	in  <-chan chunk
	cur chunk
	pos int   // in cur
	n   int64 // bytes consumed
}

// Read implements io.Reader.
func (r *pipe) Read(p []byte) (int, error) {
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
func (r *pipe) peek() []byte {
	if r.next() != nil {
		return nil
	}
	return r.cur.buf[r.pos:r.cur.n]
}

func (r *pipe) advance(n int) {
	r.pos += n
	r.n += int64(n)
}

// drop gives the current chunk's buffer back. Its error stays.
func (r *pipe) drop() {
	if r.cur.buf != nil {
		chunkPool.Put(r.cur.buf)
	}
	r.cur, r.pos = chunk{err: r.cur.err}, 0
}

// next makes sure that cur has an unread byte.
func (r *pipe) next() error {
	for r.pos == r.cur.n {
		r.drop()
		if r.cur.err != nil {
			return r.cur.err
		}
		r.cur = r.receive()
	}
	return nil
}

func (r *pipe) receive() chunk {
	select {
	case c := <-r.in:
		return c
	case <-r.ctx.Done():
		return chunk{err: context.Cause(r.ctx)}
	}
}
