// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Repository is the folder of a repository: which tags, manifests and blobs it has.
func (r *Registry) Repository(name string) string {
	return filepath.Join(r.Dir, "docker/registry/v2/repositories", name)
}

// Stands lists what is in a repository: tags with what they name, manifests and blobs.
func (r *Registry) Stands(t testing.TB, name string) (all []string) {
	t.Helper()
	top := os.DirFS(r.Repository(name))
	err := fs.WalkDir(top, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case path == "_uploads": // which come and go
			return fs.SkipDir
		case strings.HasSuffix(path, ".tmp"), errors.Is(err, fs.ErrNotExist): // of a request that the registry still ends
			return nil
		case err != nil:
			return err
		case strings.Contains(path, "/tags/") && strings.Contains(path, "/index/"), d.IsDir():
			return nil
		}
		link, err := fs.ReadFile(top, path)
		all = append(all, path+" "+string(link))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return all
}

// Blobs counts the bytes of blobs that were sent, and of those among them that were not
// committed, as far as an answer says.
func (s *Server) Blobs() (sent, unfinished int64) {
	requests := s.Requests()
	committed := map[string]bool{}
	for _, r := range requests {
		if r.Method == http.MethodPut && strings.Contains(r.Path, "/blobs/uploads/") && r.Status == http.StatusCreated {
			committed[r.Path] = true
		}
	}
	for _, r := range requests {
		if r.Method != http.MethodPatch {
			continue
		}
		sent += r.Sent
		if !committed[r.Path] {
			unfinished += r.Sent
		}
	}
	return sent, unfinished
}
