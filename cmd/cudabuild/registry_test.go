// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// TestAuthRealm: each command that reads registries asks the one token server that it
// was told, and says which other one it was sent to.
func TestAuthRealm(t *testing.T) { // not parallel: it changes the environment
	var asked atomic.Int32
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if _, password, _ := r.BasicAuth(); password == "secret" {
			_, _ = w.Write([]byte(`{"token": "good"}`))
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(tokens.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(tokens.URL, "http://"), ":")
	ref := serve(t, imagetest.New(servedLayer), func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer good" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://localhost:`+port+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	host, _, _ := strings.Cut(ref, "/")
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("DOCKER_CONFIG", dir)
	config := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, base64.StdEncoding.EncodeToString([]byte("me:secret")))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := verifyCommand(t, "--auth-realm", "localhost:"+port, ref); code != 0 || !strings.Contains(stdout, "PASS") || asked.Load() == 0 {
		t.Errorf("the right one: exit code %d, asked %d times\n%s%s", code, asked.Load(), stdout, stderr)
	}
	asked.Store(0)
	for _, args := range [][]string{{"verify", "--no-cache"}, {"gpu"}, {"run"}} {
		var out, errs strings.Builder
		code := run(t.Context(), append(args, "--auth-realm", "auth.example.com", ref), strings.NewReader(""), &out, &errs)
		said := errs.String()
		if code != exitUnknown || !strings.Contains(said, "http://localhost:"+port) || !strings.Contains(said, "only auth.example.com") || !strings.Contains(said, "hint: ") || asked.Load() != 0 {
			t.Errorf("%v, another: exit code %d, asked %d times\n%s", args, code, asked.Load(), said)
		}
		errs.Reset()
		if code := run(t.Context(), append(args, "--auth-realm", "https://auth.example.com/token", ref), strings.NewReader(""), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), "is not HOST or HOST:PORT") {
			t.Errorf("%v, an address: exit code %d\n%s", args, code, errs.String())
		}
	}
}
