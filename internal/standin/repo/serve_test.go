// SPDX-License-Identifier: Apache-2.0

package repo_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/standin/repo"
)

func TestGoAwayIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.deb", "b.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("x", 1000)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := repo.Serve(t, dir)
	get := func(name string) (int, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		return len(data), err
	}
	s.GoAwayIn(".deb", 100)
	if n, err := get("b.txt"); n != 1000 || err != nil {
		t.Errorf("before: %d bytes, %v", n, err)
	}
	if n, err := get("a.deb"); n != 100 || err == nil {
		t.Errorf("in the middle: %d bytes, %v, want 100 and an error", n, err)
	}
	if n, err := get("b.txt"); n != 0 || err == nil {
		t.Errorf("after: %d bytes, %v, want an error", n, err)
	}
	s.ComeBack()
	if n, err := get("a.deb"); n != 1000 || err != nil {
		t.Errorf("whole again: %d bytes, %v", n, err)
	}
}
