// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"sync"
	"time"

	"github.com/cudabuild/cudabuild/record"
)

// Phase is how far a phase came.
type Phase = record.Phase

// meter counts what a phase does.
type meter struct {
	show  func(p Phase, ended bool)
	begun time.Time

	mu    sync.Mutex
	phase Phase
}

func (c *Copier) begin(name string, of int, bytes int64) *meter {
	m := &meter{show: c.Show, begun: time.Now(), phase: Phase{Name: name, Of: of, OfBytes: bytes}}
	m.add(0, 0)
	return m
}

// add counts things done, and bytes sent; these may be negative, where something begins anew.
func (m *meter) add(done int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase.Done += done
	m.phase.Bytes += bytes
	m.phase.Seconds = time.Since(m.begun).Seconds()
	m.show(m.phase, false)
}

// found counts something that was looked for and is done.
func (m *meter) found() {
	m.mu.Lock()
	m.phase.Of++
	m.mu.Unlock()
	m.add(1, 0)
}

// end returns the phase as it ended.
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
