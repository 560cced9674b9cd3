// SPDX-License-Identifier: Apache-2.0

package repo

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// Server serves a folder on loopback, as far as it is let.
type Server struct {
	*httptest.Server

	left atomic.Int64 // bytes until it goes away
}

const forever = 1 << 62

// Serve starts a server of that folder. The test's end ends it.
func Serve(t testing.TB, dir string) *Server {
	t.Helper()
	s := &Server{}
	s.left.Store(forever)
	files := http.FileServer(http.Dir(dir))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		files.ServeHTTP(&budget{w, &s.left}, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// GoAwayAfter makes the server cut every connection once it has sent that many bytes
// of files, in the middle of one.
func (s *Server) GoAwayAfter(bytes int64) { s.left.Store(bytes) }

// ComeBack makes it whole again.
func (s *Server) ComeBack() { s.left.Store(forever) }

type budget struct {
	http.ResponseWriter

	left *atomic.Int64
}

func (b *budget) Write(p []byte) (int, error) {
	left := b.left.Add(-int64(len(p)))
	if left >= 0 {
		return b.ResponseWriter.Write(p)
	}
	if n := int64(len(p)) + left; n > 0 {
		_, _ = b.ResponseWriter.Write(p[:n])
		_ = http.NewResponseController(b.ResponseWriter).Flush()
	}
	panic(http.ErrAbortHandler) // the connection ends here
}
