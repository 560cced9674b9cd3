// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/publish"
)

// TestLostBlob: a registry says of a manifest that it lacks a blob which it was given. It gets
// it once more, without being asked whether it is there: its answer would be the wrong one.
func TestLostBlob(t *testing.T) {
	t.Parallel()
	r, f := registrytest.Start(t, nil), newFamily(t, made{seed: 1, day: 1})
	const said = `{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry"%s}]}`
	for i, tc := range []struct {
		name, detail string // DIGEST stands for a layer's
		times        int32  // that the first cell's manifest is not taken
		again        int    // blobs that are sent twice
		wrong        string
	}{
		{"a digest", `, "detail": "DIGEST"`, 1, 1, ""},
		{"a descriptor", `, "detail": {"digest": "DIGEST"}`, 1, 1, ""},
		{"nothing", "", 1, 2, ""}, // the layer and the configuration of the first cell
		{"another one", `, "detail": "sha256:` + strings.Repeat("0", 64) + `"`, 1, 0, ""},
		{"for ever", `, "detail": "DIGEST"`, 99, 1, "lacks what it was sent twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			proxy := registrytest.Proxy(t, r.Host)
			o := f.options(fmt.Sprintf("%s/lost-%d", proxy.Host, i))
			o.Journals, o.NoEvidence = t.TempDir(), true // its blobs are not counted here
			plan, err := publisher(t, o).Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			body := fmt.Sprintf(said, strings.ReplaceAll(tc.detail, "DIGEST", plan.Cells[0].Uploads[0].Digest))
			var asked atomic.Int32
			proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
				if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+plan.Cells[0].Staging) && asked.Add(1) <= tc.times {
					return registrytest.Fault{Status: http.StatusNotFound, Body: body}
				}
				return registrytest.Fault{}
			}, nil)
			_, err = publisher(t, o).Run(t.Context(), nil)
			switch {
			case tc.wrong == "" && err == nil:
				sameTags(t, o.To, f.tags())
			case tc.wrong == "" || err == nil || !strings.Contains(err.Error(), tc.wrong) || hint.Code(err, 3) != 1 || hint.Of(err) == "":
				t.Errorf("Run: %v, want %q", err, tc.wrong)
			}
			sent := -plan.Totals.Blobs
			for _, r := range proxy.Requests() {
				if r.Method == http.MethodPut && strings.Contains(r.Query, "digest=") {
					sent++
				}
			}
			if sent != tc.again {
				t.Errorf("%d blobs were sent again, want %d", sent, tc.again)
			}
		})
	}
}

// TestCollected: garbage collection takes a blob before the manifest that names it comes, and
// another one, with the tag that named it, before a tag moves: the run says so, and goes on
// when it is told to.
func TestCollected(t *testing.T) {
	t.Parallel()
	r, f := registrytest.Start(t, nil), newFamily(t, made{seed: 1, day: 1})
	proxy := registrytest.Proxy(t, r.Host)
	o := f.options(proxy.Host + "/collected")
	plan, err := publisher(t, o).Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	collect := func(digest string) {
		if err := os.RemoveAll(filepath.Join(r.Dir, "docker/registry/v2/repositories/collected/_layers/sha256", strings.TrimPrefix(digest, "sha256:"))); err != nil {
			t.Error(err)
		}
	}
	var early, late atomic.Bool
	proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
		put := func(tag string) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+tag)
		}
		switch {
		case put(plan.Cells[0].Staging) && early.CompareAndSwap(false, true):
			collect(plan.Cells[0].Uploads[0].Digest)
		case put(plan.Cells[1].ID) && late.CompareAndSwap(false, true):
			collect(plan.Cells[1].Uploads[0].Digest)
		}
		return registrytest.Fault{}
	}, nil)
	_, err = publisher(t, o).Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "lacks what it had when it was read back") || !early.Load() {
		t.Fatalf("Run: %v, want that a blob is gone that was read back", err)
	}
	j, err := publish.ReadJournal(o.Journals, "")
	if err != nil {
		t.Fatal(err)
	}
	again := publisher(t, o)
	if err := again.Resume(j); err != nil {
		t.Fatal(err)
	}
	mustRun(t, again, nil)
	sameTags(t, o.To, f.tags())
}
