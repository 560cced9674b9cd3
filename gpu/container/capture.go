// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// maxOutput bounds what is kept of a program's output. The rest is read and dropped,
// so that the program does not wait.
const maxOutput = 4 << 20

// capture is one end of a program's output. A file and not an exec.Cmd's buffer,
// because the runtime that is given it ends before the program does.
type capture struct {
	r, w *os.File
	buf  bytes.Buffer
	end  chan struct{}
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

// Write keeps the first bytes and drops the rest.
func (c *capture) Write(p []byte) (int, error) {
	_, err := c.buf.Write(p[:min(len(p), maxOutput-c.buf.Len())])
	return len(p), err
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
	return c.buf.Bytes()
}
