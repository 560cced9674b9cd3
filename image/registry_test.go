// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/registry"
)

// TestOpenBoundsRegistry: whatever a registry does, opening an image ends.
func TestOpenBoundsRegistry(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc // to the request for a manifest
		wrong  string           // end of the error
		most   int32            // requests for the manifest
	}{
		{"redirects to itself", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, "more than 10 redirects", 11},
		{"never answers", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer for 2s", 1},
		{"stops in its answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = w.Write([]byte(`{"schemaVersion"`))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "too slow: 16 bytes in 2s", 1},
		{"drips", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			for range 40 {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(500 * time.Millisecond):
				}
			}
		}, " bytes in 2s", 1},
		{"500 with a long page", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(strings.Repeat("oops", 50_000)))
		}, strings.Repeat("oops", 1024), 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					w.WriteHeader(http.StatusOK)
					return
				}
				asked.Add(1)
				tc.answer(w, r)
			}))
			defer server.Close()
			_, _, err := image.Open(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/team/app:1", image.OpenOptions{Registry: registry.Options{Patience: 2 * time.Second, Pause: time.Millisecond}})
			if err == nil || !strings.HasSuffix(strings.TrimSuffix(err.Error(), "\""), tc.wrong) || len(err.Error()) > 5000 {
				t.Errorf("Open: %.300v, want one that ends in %q", err, tc.wrong)
			}
			if asked.Load() != tc.most {
				t.Errorf("%d requests, want %d", asked.Load(), tc.most)
			}
		})
	}
}
