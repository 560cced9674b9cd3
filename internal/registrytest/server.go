// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Server answers on loopback, with faults.
type Server struct {
	Host string // HOST:PORT

	inner http.Handler

	mu            sync.Mutex
	done          *sync.Cond // a request ended
	running       int
	before, after Hook
	requests      []Request
}

// Serve puts a server around a handler; the test's end ends it.
func Serve(t testing.TB, inner http.Handler) *Server {
	t.Helper()
	s := &Server{inner: inner}
	s.done = sync.NewCond(&s.mu)
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = silent
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.Host = server.Listener.Addr().String()
	return s
}

// silent is what net/http logs to: faults are meant.
var silent = log.New(io.Discard, "", 0) //nolint:forbidigo // the kind of logger that net/http knows

// Proxy puts a server in front of a registry at HOST:PORT. What the registry sends clients
// on to at itself, it sends them on to at the proxy.
func Proxy(t testing.TB, upstream string) *Server {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: upstream}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{Transport: transport, ErrorLog: silent}
	proxy.Rewrite = func(r *httputil.ProxyRequest) { r.SetURL(target) }
	s := Serve(t, proxy)
	proxy.ModifyResponse = func(resp *http.Response) error {
		if at, err := resp.Location(); err == nil && at.Host == upstream {
			at.Host = s.Host
			resp.Header.Set("Location", at.String())
		}
		return nil
	}
	return s
}

// Arm sets the hooks for the requests that come from now on; nil is none.
func (s *Server) Arm(before, after Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

// Requests returns what there was so far, in the order of arrival, once nothing is being
// answered. A hook must not call it.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.running > 0 {
		s.done.Wait()
	}
	return append([]Request(nil), s.requests...)
}

// Forget forgets the requests so far; the next is number 0.
func (s *Server) Forget() {
	s.Requests()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, before, after := s.begin(r)
	body := &countedBody{ReadCloser: r.Body}
	r.Body = body
	a := &answer{ResponseWriter: w, after: func() Fault { return after(n, r) }}
	defer func() { s.end(n, body.n, a.status) }()
	a.fault = before(n, r)
	if !a.pass(r) {
		return
	}
	s.inner.ServeHTTP(a, r)
	a.finish()
}

func (s *Server) begin(r *http.Request) (n int, before, after Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
	s.requests = append(s.requests, Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header.Clone()})
	none := func(int, *http.Request) Fault { return Fault{} }
	before, after = s.before, s.after
	if before == nil {
		before = none
	}
	if after == nil {
		after = none
	}
	return len(s.requests) - 1, before, after
}

func (s *Server) end(n int, sent int64, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if n < len(s.requests) { // else they were forgotten
		s.requests[n].Sent, s.requests[n].Status = sent, status
	}
	s.done.Broadcast()
}

type countedBody struct {
	io.ReadCloser

	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

// errCut ends a body in the middle.
var errCut = errors.New("cut by the test")

// cutBody is the beginning of a body, and an error behind it.
type cutBody struct {
	io.Reader
	io.Closer

	end error
}

func (b cutBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.end
	}
	return n, err
}

// answer is the writer of an answer with which something goes wrong.
type answer struct {
	http.ResponseWriter

	fault   Fault
	after   func() Fault
	status  int
	limited bool  // only left more bytes come through
	left    int64 //
}

// pass does what goes wrong before a request is passed on, and reports whether it is.
func (a *answer) pass(r *http.Request) bool {
	if a.fault.Slow > 0 {
		timer := time.NewTimer(a.fault.Slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return false
		}
	}
	switch {
	case a.fault.Reset:
		a.reset()
		return false
	case a.fault.Status != 0:
		a.instead(a.fault)
		return false
	case a.fault.Expire && r.Header.Get("Authorization") != "":
		r.Header.Set("Authorization", "Bearer spoiled")
	}
	half := max(r.ContentLength, 0) / 2
	switch {
	case a.fault.CutBody:
		r.Body = cutBody{io.LimitReader(r.Body, half), r.Body, errCut}
	case a.fault.Truncate && r.Method == http.MethodPatch && r.ContentLength > 0:
		r.Body, r.ContentLength = cutBody{io.LimitReader(r.Body, half), r.Body, io.EOF}, half
		r.Header.Set("Content-Length", strconv.FormatInt(half, 10))
	}
	return true
}

// finish does what goes wrong once a request was answered.
func (a *answer) finish() {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	switch {
	case a.fault.Drop, a.fault.CutBody:
		a.reset()
	case a.fault.CutAnswer:
		_ = http.NewResponseController(a.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 || status < http.StatusOK {
		return
	}
	a.status = status
	late := a.after()
	a.fault.Drop = a.fault.Drop || late.Drop || late.Reset
	a.fault.CutAnswer = a.fault.CutAnswer || late.CutAnswer
	length, _ := strconv.ParseInt(a.Header().Get("Content-Length"), 10, 64)
	a.fault.Drop = a.fault.Drop || a.fault.CutAnswer && length < 2 // there is nothing to cut
	switch {
	case a.fault.Drop, a.fault.CutBody:
		a.limited = true
		return
	case late.Status != 0:
		a.instead(late)
		a.limited = true
		return
	case a.fault.CutAnswer:
		a.limited, a.left = true, length/2
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.limited {
		return a.ResponseWriter.Write(p)
	}
	through := p[:min(int64(len(p)), a.left)]
	a.left -= int64(len(through))
	if len(through) > 0 {
		if n, err := a.ResponseWriter.Write(through); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

// instead answers in the registry's place.
func (a *answer) instead(f Fault) {
	clear(a.Header())
	for key, values := range f.Header {
		a.Header()[key] = values
	}
	a.status = f.Status
	a.ResponseWriter.WriteHeader(f.Status)
	_, _ = io.WriteString(a.ResponseWriter, f.Body)
}

// reset ends the connection without the courtesy that TCP has for that.
func (a *answer) reset() {
	a.status = 0
	conn, _, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
