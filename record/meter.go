// SPDX-License-Identifier: Apache-2.0

package record

import (
	"sync"
	"time"
)

// Show is told of a phase when it begins, as it goes on, and when it ends; from several
// goroutines, one at a time.
type Show func(p Phase, ended bool)

// Meter counts what a phase does.
type Meter struct {
	show  Show
	begun time.Time

	mu    sync.Mutex
	phase Phase
}

// Begin begins a phase.
func (s Show) Begin(name string, of int, bytes int64) *Meter {
	m := &Meter{show: s, begun: time.Now(), phase: Phase{Name: name, Of: of, OfBytes: bytes}}
	m.Add(0, 0)
	return m
}

// Add counts things done, and bytes sent or read; both may be negative, where something
// begins anew.
func (m *Meter) Add(done int, bytes int64) { m.add(0, done, bytes) }

// Found counts something that was looked for, and is done.
func (m *Meter) Found() { m.add(1, 1, 0) }

func (m *Meter) add(of, done int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase.Of += of
	m.phase.Done += done
	m.phase.Bytes += bytes
	m.phase.Seconds = time.Since(m.begun).Seconds()
	m.show(m.phase, false)
}

// Write counts bytes.
func (m *Meter) Write(p []byte) (int, error) {
	m.Add(0, int64(len(p)))
	return len(p), nil
}

// End returns the phase as the record has it.
func (m *Meter) End(err error) Phase {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase.Seconds = time.Since(m.begun).Seconds()
	if err != nil {
		m.phase.Reason = err.Error()
	}
	m.show(m.phase, true)
	return m.phase
}
