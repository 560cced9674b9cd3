// SPDX-License-Identifier: Apache-2.0

// Package capture keeps the beginning and the end of what a program writes, and reads and drops the rest, so
// that the program does not wait. It is a part of the observer of pods, too.
//
// The program gets [Capture.W]; [Wait] returns the [Output] of one or more.
package capture

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Capture is one output of a program: a file and not an exec.Cmd's buffer, because who is given it may end
// before the program does, or after it.
type Capture struct {
	W    *os.File // for the program; this process may close its own
	r    *os.File
	most int
	kept Output
	end  chan struct{}
}

// New begins to listen. Of more than most bytes, half of that is kept from the beginning and half from the end.
func New(most int) (*Capture, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &Capture{W: w, r: r, most: most, kept: Output{Head: []byte{}, Tail: []byte{}}, end: make(chan struct{})}
	go c.listen()
	return c, nil
}

// listen reads until the end or the deadline, and then what is in the pipe all the same: where
// the machine was held up, that is all of it.
func (c *Capture) listen() {
	defer close(c.end)
	defer c.r.Close()
	if _, err := io.Copy(c, c.r); err == nil {
		return
	}
	raw, err := c.r.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		rest := make([]byte, 1<<20) // a pipe holds no more
		n, _ := unix.Read(int(fd), rest)
		_, _ = c.Write(rest[:max(n, 0)])
	})
}

// Write keeps the first bytes and, for a time, those that may be the last.
func (c *Capture) Write(p []byte) (int, error) {
	o := &c.kept
	o.Bytes += int64(len(p))
	first := min(len(p), c.most/2-len(o.Head))
	o.Head, o.Tail = append(o.Head, p[:first]...), append(o.Tail, p[first:]...)
	if len(o.Tail) > c.most {
		c.trim()
	}
	return len(p), nil
}

// trim drops what cannot be among the last bytes any more.
func (c *Capture) trim() {
	if over := len(c.kept.Tail) - c.most/2; over > 0 {
		c.kept.Tail = append(c.kept.Tail[:0], c.kept.Tail[over:]...)
	}
}

// Close ends the listening, if nothing else has.
func (c *Capture) Close() {
	_ = c.W.Close()
	_ = c.r.Close()
	<-c.end
}

// Patience is how long an output may stay open after the program's end, by a process that it left behind.
const Patience = 2 * time.Second

// Wait waits until everybody who could write has ended, but not for long, and returns what was kept of each.
func Wait(captures ...*Capture) []Output {
	deadline := time.Now().Add(Patience)
	for _, c := range captures {
		_ = c.W.Close()
		_ = c.r.SetReadDeadline(deadline)
	}
	var all []Output
	for _, c := range captures {
		<-c.end
		if c.trim(); c.kept.Bytes <= int64(c.most) {
			c.kept.Head, c.kept.Tail = append(c.kept.Head, c.kept.Tail...), []byte{}
		}
		all = append(all, c.kept)
	}
	return all
}
