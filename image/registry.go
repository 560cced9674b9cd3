// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Bounds on what a registry may do.
const (
	// patience is how long it may give nothing, before its answer and inside of it, and
	// how long it may take for a portion of it. That is about 1 KiB a second.
	patience = time.Minute
	portion  = 64 << 10
	// maxRedirects is what net/http allows; the registry client puts a check of its
	// own in the place of that one, and it counts nothing.
	maxRedirects = 10
	// maxErrorBody bounds the body of an error. The registry client asks again after
	// a 500, but not if more than 64 KiB come with it.
	maxErrorBody = 4 << 10
)

// slowError is a registry that gave nothing, or little, for that long. It is not
// temporary: whoever waited a minute is not made to wait three.
type slowError struct {
	waited time.Duration
	got    int // bytes
}

func (e *slowError) Error() string {
	if e.got == 0 {
		return fmt.Sprintf("no answer for %v", e.waited)
	}
	return fmt.Sprintf("too slow: %d bytes in %v", e.got, e.waited)
}

// patient is a transport with these bounds.
type patient struct {
	inner    http.RoundTripper
	patience time.Duration
}

// RoundTrip implements http.RoundTripper.
func (p *patient) RoundTrip(req *http.Request) (*http.Response, error) {
	if redirects(req) > maxRedirects {
		return nil, fmt.Errorf("more than %d redirects", maxRedirects)
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	body := &patientBody{ctx: ctx, cancel: cancel, patience: p.patience, left: p.patience}
	body.watchdog = time.AfterFunc(p.patience, func() { cancel(&slowError{waited: p.patience}) })
	resp, err := p.inner.RoundTrip(req.WithContext(ctx))
	body.watchdog.Stop()
	if err != nil {
		err = body.cause(err)
		cancel(nil)
		return nil, err
	}
	body.ReadCloser, resp.Body = resp.Body, body
	if resp.StatusCode >= http.StatusBadRequest {
		resp.Body = errorBody{io.LimitReader(body, maxErrorBody), body}
	}
	return resp, nil
}

// documents is a transport that hands over only manifests and indexes that can be read in
// bounded memory: the registry client reads up to 100 MiB and makes objects of them.
type documents struct{ inner http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (d documents) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.inner.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet || resp.StatusCode != http.StatusOK || !strings.Contains(origin(req).URL.Path, "/manifests/") {
		return resp, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if err := (*shape)(nil).check(raw); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return resp, nil
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

// errorBody is the beginning of a body.
type errorBody struct {
	io.Reader
	io.Closer
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
		return &slowError{slow.waited, b.got}
	}
	return err
}
