// SPDX-License-Identifier: Apache-2.0

package base

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/cudabuild/cudabuild/internal/require"
)

// TestSettings: a real mmdebstrap goes by the proxy of this machine's apt, which it does not by
// itself, and with the mirror's login.
func TestSettings(t *testing.T) {
	t.Parallel()
	if err := Here("linux/amd64"); err != nil {
		require.Missing(t, "root", err)
	}
	var asked, knew atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "own.example" {
			asked.Store(true)
		}
		user, word, _ := r.BasicAuth()
		knew.CompareAndSwap(false, user == "somebody" && word == "secret")
		http.NotFound(w, r)
	}))
	defer proxy.Close()
	settings := fmt.Appendf(nil, "Acquire::http::Proxy %q;\n", proxy.URL)
	src := sources{own: ownList, used: "deb http://own.example/debian trixie main", auth: "machine http://own.example/ login somebody password secret"}
	_, err := here{settings: settings}.root(t.Context(), bootstrap{trixie.OS, "linux/amd64", src}, t.TempDir(), io.Discard)
	if err == nil || !asked.Load() || !knew.Load() {
		t.Errorf("root = %v; the proxy was asked: %v, with the login: %v", err, asked.Load(), knew.Load())
	}
}
