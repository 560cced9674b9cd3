// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/internal/standin/index"
	"github.com/cudabuild/cudabuild/internal/updatetest"
)

// newUpdateVendor is a vendor for the scripts, at $VENDOR_TREE, and recipes that pin its key, at $VENDOR_RECIPES: it has a new
// CUDA release for Ubuntu, and one package less than the recipes pin.
func newUpdateVendor(t *testing.T) *updatetest.World {
	t.Helper()
	w := updatetest.New(t)
	w.Release(t, updatetest.Released, "ubuntu24.04", "linux/amd64")
	w.Packages["ubuntu2404/sbsa"] = slices.DeleteFunc(w.Packages["ubuntu2404/sbsa"], func(p pkgindex.Package) bool {
		return p.Name == "cuda-cudart-12-8" && p.Version == "12.8.90-1"
	})
	w.Serve(t)
	return w
}

// TestUpdateFromServer reads the repositories of a server; what the server lacks or half has is said, and
// nothing is written.
func TestUpdateFromServer(t *testing.T) {
	t.Parallel()
	w := newUpdateVendor(t)
	tree := http.FileServer(http.Dir(w.Tree))
	var broken http.HandlerFunc
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if broken != nil && strings.HasPrefix(r.URL.Path, "/ubuntu2404/sbsa/") {
			broken(rw, r)
			return
		}
		tree.ServeHTTP(rw, r)
	}))
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "new")
	update := func() (code int, stdout, stderr string) {
		var out, wrong bytes.Buffer
		ctx := context.WithValue(t.Context(), clockKey{}, index.Date.AddDate(0, 0, 1))
		code = run(ctx, []string{"recipes", "update", "--recipes", w.Recipes, "--recipes", dir, "--from", server.URL, "--os", "ubuntu24.04"}, strings.NewReader(""), &out, &wrong)
		return code, out.String(), wrong.String()
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		code   int
		want   []string
	}{
		"gone": {http.NotFound, 3, []string{"repository ubuntu2404/sbsa: ", "404", "--os GLOB"}},
		"half-synced": {func(rw http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, "sbsa/Packages", "x86_64/Packages", 1)
			tree.ServeHTTP(rw, r)
		}, 3, []string{"ubuntu2404/sbsa/Packages has ", "InRelease says", "try again later"}},
		"another key": {func(rw http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, "/sbsa/InRelease", "/x86_64/Packages", 1)
			tree.ServeHTTP(rw, r)
		}, 1, []string{"ubuntu2404/sbsa/InRelease is not signed"}},
	} {
		broken = test.answer
		code, stdout, stderr := update()
		for _, want := range test.want {
			if code != test.code || stdout != "" || !strings.Contains(stderr, want) {
				t.Errorf("%s: code %d, stdout %q, want code %d and %q in\n%s", name, code, stdout, test.code, want, stderr)
			}
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: %s was made", name, dir)
		}
	}
	broken = nil
	code, stdout, stderr := update()
	if _, err := os.Stat(filepath.Join(dir, "toolkit", "99.1.0.yaml")); code != 0 || err != nil || !strings.Contains(stdout, "new: CUDA 99.1.0 for ubuntu24.04 (linux/amd64)\n") {
		t.Errorf("code %d, %v,\n%s%s", code, err, stdout, stderr)
	}
	server.Close()
	if code, _, stderr := update(); code != 3 || !strings.Contains(stderr, "cannot reach the repository") || !strings.Contains(stderr, "--from names a mirror") {
		t.Errorf("without a server: code %d, %s", code, stderr)
	}
}
