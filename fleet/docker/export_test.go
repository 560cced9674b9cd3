// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"net/url"
	"time"
)

// For tests.
const Repository = repository

var (
	NewMark   = newMark
	ErrFrozen = errFrozen
	ErrHangs  = errHangs
)

// Impatient bounds what a host waits for a daemon that is asked for a signal.
func Impatient(h *Host, prompt time.Duration) { h.prompt = prompt }

// Elsewhere has a host believe that its daemon is at an address of TCP.
func Elsewhere(h *Host, address string) { h.client.URL = &url.URL{Scheme: "tcp", Host: address} }

// Abandoned reports whether a mark is one, and abandoned.
func Abandoned(text string, now time.Time) (ok, abandoned bool) {
	m, ok := parseMark(text)
	return ok, ok && m.abandoned(now)
}

// Ended reports whether the process of a mark has ended, as far as a folder in place of /proc shows.
func Ended(text, proc string) bool {
	m, ok := parseMark(text)
	return ok && m.ended(proc)
}
