// SPDX-License-Identifier: Apache-2.0

// Package registrytest has registries for tests, and what goes wrong with them.
//
// [Start] starts a real one on loopback, with logins if it is given [NewTokens]. [Proxy] stands
// in front of any registry and [Serve] around any handler: hooks see each request before it
// is passed on and once it is answered, and say what goes wrong with it ([Fault]). Each
// request is recorded, so that tests can count bytes and enumerate points. [Kinds] and
// [Random] are faults to try.
package registrytest

import (
	"net/http"
	"time"
)

// Fault is what goes wrong with one request; its zero value is nothing. Of several, all do.
type Fault struct {
	// Status is the answer, with Header and Body: of a hook before the request, which is then not
	// passed on; of a hook after it, in the place of the registry's own answer.
	Status int
	Header http.Header
	Body   string

	Reset     bool // the connection is reset, and the request not passed on
	Expire    bool // the token of the request is spoiled, so that the registry answers 401
	CutBody   bool // half of the request's body is passed on, then the connection is reset
	Truncate  bool // half of the bytes of a blob are passed on as if that were all
	Drop      bool // the registry acts, and the connection is reset in place of its answer
	CutAnswer bool // half of the answer's body comes through, then the connection is closed

	Slow time.Duration // before the request is passed on
}

// Hook says what goes wrong with request n, counted from 0 in the order of arrival. Hooks
// are called at the same time from several goroutines; they must not read the body.
type Hook func(n int, r *http.Request) Fault

// Request is one that a [Server] had.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Sent                int64 // bytes of its body that arrived
	Status              int   // of the answer; 0 if there was none
}
