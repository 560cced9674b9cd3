// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"sync"
	"time"

	"github.com/cudabuild/cudabuild/record"
)

// The phases in their order, as the record and the screen name them.
const (
	Preflight = "preflight"
	Upload    = "upload"
	ReadBack  = "read back"
	Gating    = "gate"
	Attach    = "attach"
	Promote   = "promote"
)

// Phase is how far a phase came.
type Phase = record.Phase

// Show is told of a phase when it begins, as it goes on, and when it ends; from several
// goroutines, one at a time.
type Show func(p Phase, ended bool)

// meter counts what a phase does.
type meter struct {
	show  Show
	begun time.Time

	mu    sync.Mutex
	phase Phase
}

func (p *Publisher) begin(name string, of int, bytes int64) *meter {
	m := &meter{show: p.Show, begun: time.Now(), phase: Phase{Name: name, Of: of, OfBytes: bytes}}
	m.add(0, 0)
	return m
}

// add counts things done, and bytes sent or read; both may be negative, where something
// begins anew.
func (m *meter) add(done int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase.Done += done
	m.phase.Bytes += bytes
	m.phase.Seconds = time.Since(m.begun).Seconds()
	m.show(m.phase, false)
}

// end returns the phase as the record has it.
func (m *meter) end(err error) Phase {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase.Seconds = time.Since(m.begun).Seconds()
	if err != nil {
		m.phase.Reason = err.Error()
	}
	m.show(m.phase, true)
	return m.phase
}
