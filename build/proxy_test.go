// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/proxy"
)

// TestProxy: a step gets out by a proxy of the environment alone, and nothing depends on
// which one that is: not what is built again, not a digest, not what is kept or shown.
func TestProxy(t *testing.T) {
	t.Parallel()
	needEngine(t)
	h := furnish(t, t.TempDir(), t.TempDir(), overlay(t, "12.2", "broken", "by-proxy"))
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Host == "mirror.invalid" {
			asked.Add(1)
		}
	}))
	defer server.Close()
	h.proxy = proxy.Proxy{HTTP: server.URL, No: "own.example"}
	h.show = &watcher{}
	only := []string{"12.2-base-*", "12.2-runtime-*"}
	first := h.done(t, only...)
	if first.Totals.Passed != 2 || asked.Load() != 1 {
		t.Fatalf("%v, the proxy was asked %d times\n%s", states(first), asked.Load(), h.show)
	}
	shown := h.show.String()

	for _, other := range []proxy.Proxy{{}, {HTTP: "http://127.0.0.1:9"}} {
		h.proxy = other
		wantRebuilt(t, h.done(t, only...))
	}
	out := h.out
	h.out = t.TempDir() // nothing is known here, but BuildKit has the steps
	if diff := cmp.Diff(digests(first), digests(h.done(t, only...))); diff != "" || asked.Load() != 1 {
		t.Errorf("by another proxy: asked %d times, digests (-first +again):\n%s", asked.Load(), diff)
	}

	address := strings.TrimPrefix(server.URL, "http://")
	for _, file := range append(glob(t, out+"/images/blobs/sha256/*"), filepath.Join(h.state, "engine.log"), out+"/images/index.json") {
		if data, err := os.ReadFile(file); err != nil || bytes.Contains(data, []byte(address)) {
			t.Errorf("%s holds the proxy, or %v", file, err)
		}
	}
	if strings.Contains(shown, address) {
		t.Errorf("the progress shows the proxy:\n%s", shown)
	}
}

// TestProxyOfGivenDaemon: that a daemon of others has its own is said, once.
func TestProxyOfGivenDaemon(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.address, _ = given(t)
	h.proxy = proxy.Proxy{HTTP: "http://user:secret@127.0.0.1:9"}
	var log bytes.Buffer
	h.log = slog.New(slog.NewTextHandler(&log, nil))
	h.done(t, "12.1-*")
	if n := strings.Count(log.String(), "proxy that it was started with"); n != 1 || strings.Contains(log.String(), "secret") {
		t.Errorf("said %d times: %s", n, &log)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	return files
}
