// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Server serves a folder on loopback, as far as it is let.
type Server struct {
	*httptest.Server

	mu     sync.Mutex
	suffix string // of the file in which it goes away, "" for none
	bytes  int    // that it still sends of it
	away   bool
}

// Serve starts a server of that folder. The test's end ends it.
func Serve(t testing.TB, dir string) *Server {
	t.Helper()
	s := &Server{}
	files := http.FileServer(http.Dir(dir))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left, cut := s.budget(r.URL.Path); cut {
			w = &cutter{w, left}
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// GoAwayIn makes the server cut the connection after that many bytes of the next file
// whose name ends so, and every connection from then on.
func (s *Server) GoAwayIn(suffix string, bytes int) { s.set(suffix, bytes) }

// ComeBack makes it whole again.
func (s *Server) ComeBack() { s.set("", 0) }

func (s *Server) set(suffix string, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suffix, s.bytes, s.away = suffix, bytes, false
}

// budget returns how many bytes of a file may be sent, if they are counted.
func (s *Server) budget(path string) (left int, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return 0, true
	}
	if s.suffix == "" || !strings.HasSuffix(path, s.suffix) {
		return 0, false
	}
	s.away = true
	return s.bytes, true
}

// cutter ends the connection after so many bytes of the body.
type cutter struct {
	http.ResponseWriter

	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) < c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}
