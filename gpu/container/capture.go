// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"io"
	"os"
	"time"
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
	go func() {
		defer close(c.end)
		defer r.Close()
		_, _ = io.Copy(&c.buf, io.LimitReader(r, maxOutput))
		_, _ = io.Copy(io.Discard, r)
	}()
	return c, nil
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
