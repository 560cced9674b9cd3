// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Streams are what connects a program with somebody.
type Streams struct {
	In       io.Reader // nil for nothing to read
	Out, Err io.Writer // written to at the same time; all that a program with a terminal says goes to Out
	// Terminal is the caller's, whose size that of the program follows; nil for none.
	// If In is not nil, its keys go to the program as they are.
	Terminal *os.File
	// Signals go to the program; SIGWINCH resizes its terminal. Before the program is
	// started a signal ends the run.
	Signals <-chan os.Signal
}

// Attach runs a program connected to streams and returns its exit code, 128 more than
// the signal's number if a signal ended it. The program gets pipes or a terminal of
// its own, never the files behind the streams. Nothing is observed and p.Limit does
// not count. An error means that the program did not run, or not to its end.
func (r *Runner) Attach(ctx context.Context, p Program, s Streams) (code int, err error) {
	dir, release, err := r.claim(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, release()) }()
	connect := s.connectPipes
	if p.Open != nil && p.Open.Terminal {
		connect = s.connectConsole
		sized := *p.Open
		sized.size = SizeOf(s.Terminal)
		p.Open = &sized
	}
	p.attached = true
	if err := r.prepare(dir, p); err != nil {
		return 0, err
	}
	relay, err := connect(dir)
	if err != nil {
		return 0, err
	}
	err = r.contained(ctx, dir, relay.remote, func(error) { relay.closeRemote() })
	var out Outcome
	if err == nil {
		err = readJSON(filepath.Join(dir, outcomeFile), &out)
	}
	if err == nil && out.Problem != "" {
		err = errors.New(InWords(out.Problem))
	}
	return out.ExitCode, errors.Join(err, relay.finish(err == nil))
}
