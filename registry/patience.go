// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Bounds on what a registry may do.
const (
	// patience is how long it may give or take nothing, and how long it may take to give a
	// portion. That is about 1 KiB a second.
	patience = time.Minute
	portion  = 64 << 10
	// storing is how many times that it may take to answer once it has all of a blob: some
	// copy large ones within their store first.
	storing = 5
	// maxRedirects is what net/http allows; the registry client puts a check of its
	// own in the place of that one, and it counts nothing.
	maxRedirects = 10
	// maxErrorBody bounds the body of an error, of which people read the beginning.
	maxErrorBody = 4 << 10
)

// slowError is a registry that gave or took nothing, or little, for that long.
type slowError struct {
	waited time.Duration
	got    int  // bytes
	taking bool // the registry was to take
}

func (e *slowError) Error() string {
	switch {
	case e.taking:
		return fmt.Sprintf("nothing more was taken for %v", e.waited)
	case e.got == 0:
		return fmt.Sprintf("no answer for %v", e.waited)
	}
	return fmt.Sprintf("too slow: %d bytes in %v", e.got, e.waited)
}

// errRedirects is one redirect too many.
var errRedirects = fmt.Errorf("more than %d redirects", maxRedirects)

// patient is a transport with these bounds.
type patient struct {
	inner    http.RoundTripper
	patience time.Duration
}

// RoundTrip implements http.RoundTripper.
func (p *patient) RoundTrip(req *http.Request) (*http.Response, error) {
	if redirects(req) > maxRedirects {
		discard(req)
		return nil, errRedirects
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	answer := p.patience
	if isUpload(req) {
		answer *= storing
	}
	sent := &sentBody{ReadCloser: req.Body, cancel: cancel, patience: p.patience, answer: answer}
	sent.await(answer, false)
	req = req.WithContext(ctx)
	if hasBody(req) {
		req.Body = sent
	}
	resp, err := p.inner.RoundTrip(req)
	sent.answered()
	body := &patientBody{ctx: ctx, cancel: cancel, patience: p.patience, left: p.patience}
	if err != nil {
		err = body.cause(err)
		cancel(nil)
		return nil, err
	}
	body.watchdog = time.AfterFunc(p.patience, func() { cancel(&slowError{waited: p.patience}) })
	body.watchdog.Stop()
	body.ReadCloser, resp.Body = resp.Body, body
	if resp.StatusCode >= http.StatusBadRequest {
		resp.Body = readCloser{io.LimitReader(body, maxErrorBody), body}
	}
	return resp, nil
}

// hasBody reports whether a request brings bytes.
func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// discard closes the body of a request that is not sent.
func discard(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// origin is the request whose redirects led to this one.
func origin(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

// redirects counts the answers that led to this request.
func redirects(req *http.Request) (n int) {
	for ; req != nil && req.Response != nil; req = req.Response.Request {
		n++
	}
	return n
}

// readCloser is a body that is read from another place than it is closed.
type readCloser struct {
	io.Reader
	io.Closer
}

// sentBody is the body of a request while the registry takes it. That it is read is the
// sign that what was read before has gone out; the time that a read takes is not the registry's.
type sentBody struct {
	io.ReadCloser

	cancel           context.CancelCauseFunc
	patience, answer time.Duration

	mu       sync.Mutex
	watchdog *time.Timer
	over     bool // it was answered
}

// await gives the registry that long from now, to take what was read or to answer.
func (b *sentBody) await(d time.Duration, taking bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.watchdog = time.AfterFunc(d, func() { b.cancel(&slowError{waited: d, taking: taking}) })
	}
}

// rest stops the time, which reports whether it ran.
func (b *sentBody) rest() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchdog.Stop()
}

func (b *sentBody) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchdog.Stop()
	b.over = true
}

// Read implements io.Reader.
func (b *sentBody) Read(p []byte) (int, error) {
	b.rest()
	n, err := b.ReadCloser.Read(p[:min(len(p), portion)])
	if err != nil {
		b.await(b.answer, false)
	} else {
		b.await(b.patience, true)
	}
	return n, err
}

// patientBody is a body each portion of which comes in time. Only time spent in reads
// counts: who reads may be slow.
type patientBody struct {
	io.ReadCloser

	ctx      context.Context //nolint:containedctx // of the request that the body belongs to
	cancel   context.CancelCauseFunc
	watchdog *time.Timer
	patience time.Duration
	left     time.Duration // for the rest of this portion
	got      int           // bytes of it
}

// Read implements io.Reader.
func (b *patientBody) Read(p []byte) (int, error) {
	begun := time.Now()
	b.watchdog.Reset(b.left)
	n, err := b.ReadCloser.Read(p)
	b.watchdog.Stop()
	b.left -= time.Since(begun)
	if b.got += n; b.got >= portion {
		b.left, b.got = b.patience, 0
	}
	return n, b.cause(err)
}

// Close implements io.Closer.
func (b *patientBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// cause returns the slowness that led to err, else err.
func (b *patientBody) cause(err error) error {
	var slow *slowError
	if err != nil && errors.As(context.Cause(b.ctx), &slow) {
		return &slowError{slow.waited, b.got, slow.taking}
	}
	return err
}
