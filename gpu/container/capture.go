// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// maxOutput bounds what is kept of a program's output: half of it the beginning, half the end. The
// rest is read and dropped, so that the program does not wait.
const maxOutput = 4 << 20

// capture is one end of a program's output. A file and not an exec.Cmd's buffer,
// because the runtime that is given it ends before the program does.
type capture struct {
	r, w       *os.File
	head, tail []byte
	dropped    int // bytes between the two
	end        chan struct{}
}

func newCapture() (*capture, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &capture{r: r, w: w, end: make(chan struct{})}
	go c.listen()
	return c, nil
}

// listen reads until the end or the deadline, and then what is in the pipe all the
// same: where the machine was held up, that is all of it.
func (c *capture) listen() {
	defer close(c.end)
	defer c.r.Close()
	if _, err := io.Copy(c, c.r); err != nil {
		_ = control(c.r, func(fd int) error {
			rest := make([]byte, 1<<20) // a pipe holds no more
			n, err := unix.Read(fd, rest)
			_, _ = c.Write(rest[:max(n, 0)])
			return err
		})
	}
}

// Write keeps the first bytes and, for a time, those that may be the last.
func (c *capture) Write(p []byte) (int, error) {
	first := min(len(p), maxOutput/2-len(c.head))
	c.head, c.tail = append(c.head, p[:first]...), append(c.tail, p[first:]...)
	if len(c.tail) > maxOutput {
		c.trim()
	}
	return len(p), nil
}

// trim drops what cannot be among the last bytes any more.
func (c *capture) trim() {
	if over := len(c.tail) - maxOutput/2; over > 0 {
		c.tail, c.dropped = append(c.tail[:0], c.tail[over:]...), c.dropped+over
	}
}

// text is what is kept, with a line between beginning and end if that is not all.
func (c *capture) text() []byte {
	if c.trim(); c.dropped == 0 {
		return append(c.head, c.tail...)
	}
	return slices.Concat(c.head, fmt.Appendf(nil, "\n... %d bytes are left out here ...\n", c.dropped), c.tail)
}

// done closes this process's end of the pipe.
func (c *capture) done() { _ = c.w.Close() }

// patience is how long the output may stay open after the program's end, by a process
// that it, or a runtime that was killed, left behind. That one ends with the run.
const patience = 2 * time.Second

// bytes waits until everybody who could write has ended, but not for long.
func (c *capture) bytes() []byte {
	c.done()
	_ = c.r.SetReadDeadline(time.Now().Add(patience))
	<-c.end
	return c.text()
}
