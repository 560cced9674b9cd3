// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// stdio is what the runtime hands on to the program. What is nil is /dev/null.
type stdio struct{ in, out, err *os.File }

func (s stdio) close() {
	for _, f := range []*os.File{s.in, s.out, s.err} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// relay copies between the caller's streams and the run's first process.
type relay struct {
	remote  []*os.File // that process's ends
	quit    chan struct{}
	output  sync.WaitGroup // that is under way
	abandon func()         // ends the wait for output that will not come
	mu      sync.Mutex
	err     error
}

// newRelay makes the pipe that every program has, that of signals.
func (s Streams) newRelay(resized func()) (*relay, error) {
	r := &relay{quit: make(chan struct{}), abandon: func() {}}
	signals, err := r.pipe(true)
	if err != nil {
		return nil, err
	}
	r.output.Go(func() {
		defer signals.Close()
		for {
			select {
			case <-r.quit:
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
	return r, nil
}

// pipe adds a pipe and returns our end of it.
func (r *relay) pipe(remoteReads bool) (local *os.File, err error) {
	local, remote, err := os.Pipe()
	if remoteReads {
		local, remote = remote, local
	}
	if err == nil {
		r.remote = append(r.remote, remote)
	}
	return local, err
}

// closeRemote closes the first process's ends, once it has them.
func (r *relay) closeRemote() {
	for _, f := range r.remote {
		_ = f.Close()
	}
}

// finish waits for the rest of the output, if the program ran.
func (r *relay) finish(ran bool) error {
	r.closeRemote()
	close(r.quit)
	if !ran {
		r.abandon()
	}
	r.output.Wait()
	return r.err
}

// copyOutput hands output on. An error of the reader's ends it.
func (r *relay) copyOutput(to io.Writer, from io.Reader) {
	if _, err := io.Copy(to, from); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = errors.Join(r.err, err)
	}
}

// connectPipes connects streams by pipes.
func (s Streams) connectPipes(string) (*relay, error) {
	r, err := s.newRelay(func() {})
	if err != nil {
		return nil, err
	}
	stdin, err1 := r.pipe(true)
	stdout, err2 := r.pipe(false)
	stderr, err3 := r.pipe(false)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, errors.Join(err, r.finish(false))
	}
	s.relayInput(stdin)
	r.relayOutput(s.Out, stdout)
	r.relayOutput(s.Err, stderr)
	return r, nil
}

// relayOutput hands on what comes out of a pipe, until its end.
func (r *relay) relayOutput(to io.Writer, from *os.File) {
	r.output.Go(func() {
		defer from.Close() // a writer that nobody reads any more gets EPIPE
		r.copyOutput(to, from)
	})
}

// relayInput hands input on. Nobody waits for it, because a read of somebody's keys cannot
// be ended.
func (s Streams) relayInput(to io.WriteCloser) {
	go func() {
		defer to.Close()
		if s.In != nil {
			_, _ = io.Copy(to, s.In)
		}
	}()
}
