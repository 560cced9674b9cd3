// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"hash"
	"io"
	"sync"
)

// A layer is read, hashed and written by three goroutines, which hand so many blocks on.
const (
	blocks     = 8
	blockBytes = 128 << 10
)

// ahead returns what one goroutine has read and another one has hashed.
type ahead struct {
	free         chan []byte
	read, hashed chan block
	quit         chan struct{}
	work         sync.WaitGroup
	now          block
	rest         []byte // of now
}

type block struct {
	data []byte
	err  error // after data
}

// readAhead reads r, and writes to sum what the result returns. It has to be stopped;
// sum is complete after that, if all was read.
func readAhead(r io.Reader, sum hash.Hash) *ahead {
	a := &ahead{free: make(chan []byte, blocks), read: make(chan block, blocks), hashed: make(chan block, blocks), quit: make(chan struct{})}
	for range blocks {
		a.free <- nil // made when it is needed
	}
	a.work.Go(func() { a.fill(r) })
	a.work.Go(func() {
		defer close(a.hashed)
		for b := range a.read {
			_, _ = sum.Write(b.data)
			a.hashed <- b // there is room for all blocks
		}
	})
	return a
}

// fill reads up to an error.
func (a *ahead) fill(r io.Reader) {
	defer close(a.read)
	for err := error(nil); err == nil; {
		var data []byte
		select {
		case data = <-a.free:
		case <-a.quit:
			return
		}
		if data == nil {
			data = make([]byte, blockBytes)
		}
		var n int
		n, err = r.Read(data[:blockBytes])
		a.read <- block{data[:n], err}
	}
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.data != nil {
			a.free <- a.now.data
		}
		a.now = <-a.hashed
		a.rest = a.now.data
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop ends the reading.
func (a *ahead) stop() {
	close(a.quit)
	a.work.Wait()
}
