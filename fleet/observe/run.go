// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"github.com/cudabuild/cudabuild/gpu/watch"
	"github.com/cudabuild/cudabuild/internal/capture"
)

// Request is a command and what it is run with: the environment and the folder of this process,
// no stdin, and a session of its own.
type Request struct {
	Args  []string      // the program, looked up on the PATH, and its arguments
	Limit time.Duration // after which it is ended; 0 is none
	// StandIn is the folder of a stand-in for the driver's files and device nodes, "" for those that there
	// are. The row says so.
	StandIn string
}

// What a row has of texts that others choose, in bytes: a byte can be six in JSON, and the outputs
// take 700 KB of a row.
const (
	maxArgs = 32 << 10
	maxText = 4 << 10
)

var errLimit = errors.New("time limit")

// Run runs a command to its end, to the time limit or until ctx ends, and says what was seen. It
// ends with everything that the command left running in its group of processes; as the first process
// of a container it reaps orphans meanwhile.
func Run(ctx context.Context, r Request) Seen {
	s := Seen{Version: Version, Args: bounded(r.Args, maxArgs), Started: time.Now().UTC()}
	s.VisibleDevices = cut(os.Getenv("NVIDIA_VISIBLE_DEVICES"), maxText)
	root := cmp.Or(r.StandIn, "/")
	s.DeviceNodes = watch.Devices("/")
	s.Driver, s.GPUs = driver(root)
	s.StandIn = r.StandIn != ""
	if err := s.run(ctx, r); err != nil {
		code, why := refusal(err)
		s.ExitCode, s.Problem = code, cut(why, maxText)
	}
	return s
}

// run fills in what the command does. An error means that it was not started.
func (s *Seen) run(ctx context.Context, r Request) error {
	stdout, err := capture.New(MaxOutput)
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := capture.New(MaxOutput)
	if err != nil {
		return err
	}
	defer stderr.Close()
	if r.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.Limit, errLimit)
		defer cancel()
	}
	s.Started = time.Now().UTC()
	p, err := start(r.Args, stdout.W, stderr.W)
	if err != nil {
		return err
	}
	w := watch.Start(p.all)
	end := p.wait(ctx)
	s.Seconds = time.Since(s.Started).Seconds()
	mapped := w.Stop()
	s.LoadedLibcuda, s.PTXJIT = mapped.Libcuda, mapped.JIT
	s.ExitCode, s.TimedOut, s.Stopped, s.Problem = end.code, end.timedOut, end.stopped, end.problem
	outputs := capture.Wait(stdout, stderr)
	s.Stdout, s.Stderr = outputs[0], outputs[1]
	p.kill()
	return nil
}

// bounded is the beginning of a list, of so many bytes.
func bounded(list []string, most int) []string {
	kept := []string{}
	for _, text := range list {
		if most <= 0 {
			break
		}
		kept, most = append(kept, cut(text, most)), most-len(text)-1
	}
	return kept
}

// cut is the beginning of a text, of so many bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most] + "..."
}
