// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"errors"
	"io"
	"os"
	"time"
)

// capture is one end of a command's output: it keeps the beginning and the end, and drops the
// rest, so that the command does not wait.
type capture struct {
	r, w *os.File
	kept Output
	end  chan struct{}
}

func newCapture() (*capture, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &capture{r: r, w: w, kept: Output{Head: []byte{}, Tail: []byte{}}, end: make(chan struct{})}
	go c.listen()
	return c, nil
}

// listen reads until the end or the deadline, and then what is in the pipe all the same: where
// the machine was held up, that is all of it.
func (c *capture) listen() {
	defer close(c.end)
	if _, err := io.Copy(c, c.r); errors.Is(err, os.ErrDeadlineExceeded) {
		_ = c.r.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = io.Copy(c, c.r)
	}
}

// Write keeps the first bytes and, for a time, those that may be the last.
func (c *capture) Write(p []byte) (int, error) {
	o := &c.kept
	o.Bytes += int64(len(p))
	first := min(len(p), MaxOutput/2-len(o.Head))
	o.Head, o.Tail = append(o.Head, p[:first]...), append(o.Tail, p[first:]...)
	if len(o.Tail) > MaxOutput {
		o.trim()
	}
	return len(p), nil
}

// trim drops what cannot be among the last bytes any more.
func (o *Output) trim() {
	if over := len(o.Tail) - MaxOutput/2; over > 0 {
		o.Tail = append(o.Tail[:0], o.Tail[over:]...)
	}
}

// close ends the reading, if nothing else has.
func (c *capture) close() {
	_ = c.w.Close()
	_ = c.r.Close()
	<-c.end
}

// patience is how long output may stay open after the command's end, by a process that it left behind.
const patience = 2 * time.Second

// outputs waits until everybody who could write has ended, but not for long, and returns what was kept.
func outputs(captures ...*capture) (stdout, stderr Output) {
	deadline := time.Now().Add(patience)
	for _, c := range captures {
		_ = c.w.Close()
		_ = c.r.SetReadDeadline(deadline)
	}
	for _, c := range captures {
		<-c.end
		if c.kept.trim(); c.kept.Bytes <= MaxOutput {
			c.kept.Head, c.kept.Tail = append(c.kept.Head, c.kept.Tail...), []byte{}
		}
	}
	return captures[0].kept, captures[1].kept
}
