// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// wires connect streams with the inside.
type wires struct {
	far    []*os.File // the inside's ends
	quit   chan struct{}
	output sync.WaitGroup // that is under way
	giveUp func()         // ends the wait for output that will not come
	mu     sync.Mutex
	err    error
}

// lay makes the wire that every program has, that of signals.
func (s Streams) lay(resized func()) (*wires, error) {
	w := &wires{quit: make(chan struct{}), giveUp: func() {}}
	signals, err := w.pipe(true)
	if err != nil {
		return nil, err
	}
	w.output.Go(func() {
		defer signals.Close()
		for {
			select {
			case <-w.quit:
				return
			case sig := <-s.Signals:
				if number, ok := sig.(unix.Signal); ok && number == unix.SIGWINCH {
					resized()
				} else if ok {
					_, _ = signals.Write([]byte{byte(number)})
				}
			}
		}
	})
	return w, nil
}

// pipe adds a pipe and returns our end of it.
func (w *wires) pipe(farReads bool) (near *os.File, err error) {
	near, far, err := os.Pipe()
	if farReads {
		near, far = far, near
	}
	if err == nil {
		w.far = append(w.far, far)
	}
	return near, err
}

// closeFar closes the inside's ends, once it has them.
func (w *wires) closeFar() {
	for _, f := range w.far {
		_ = f.Close()
	}
}

// end waits for the rest of the output, if the program ran.
func (w *wires) end(ran bool) error {
	w.closeFar()
	close(w.quit)
	if !ran {
		w.giveUp()
	}
	w.output.Wait()
	return w.err
}

// copy hands output on. An error of the reader's ends it.
func (w *wires) copy(to io.Writer, from io.Reader) {
	if _, err := io.Copy(to, from); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = errors.Join(w.err, err)
	}
}

// pipes connects streams by pipes.
func (s Streams) pipes(string) (*wires, error) {
	w, err := s.lay(func() {})
	if err != nil {
		return nil, err
	}
	stdin, err1 := w.pipe(true)
	stdout, err2 := w.pipe(false)
	stderr, err3 := w.pipe(false)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, errors.Join(err, w.end(false))
	}
	s.feed(stdin)
	w.hear(s.Out, stdout)
	w.hear(s.Err, stderr)
	return w, nil
}

// hear hands on what comes out of a pipe.
func (w *wires) hear(to io.Writer, from *os.File) {
	w.output.Go(func() {
		defer from.Close() // who is not heard any more is told so
		w.copy(to, from)
	})
}

// feed hands input on. Nobody waits for it, because a read of somebody's keys cannot
// be ended.
func (s Streams) feed(to io.WriteCloser) {
	go func() {
		defer to.Close()
		if s.In != nil {
			_, _ = io.Copy(to, s.In)
		}
	}()
}
