// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/sign"
)

// bothKinds runs a test against a registry that keeps lists of what is attached under tags, and
// one that has the referrers API.
func bothKinds(t *testing.T, test func(t *testing.T, proxy *registrytest.Server)) {
	t.Run("tags", func(t *testing.T) {
		t.Parallel()
		test(t, registrytest.Proxy(t, registrytest.Start(t, nil).Host))
	})
	t.Run("API", func(t *testing.T) {
		t.Parallel()
		test(t, registrytest.Serve(t, memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(true)))) //nolint:forbidigo // what it wants
	})
}

func newKey(tb testing.TB) *sign.Key {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := sign.Load(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// look reads what is attached to all cells.
func (f family) look(tb testing.TB, to string, key *sign.Key) (all []attest.Report) {
	tb.Helper()
	o := attest.Options{}
	if key != nil {
		public := key.Public()
		o.Key = &public
	}
	for i := range f.cells {
		r, err := attest.Look(tb.Context(), to+"@"+f.record.Cells[i].Digest, o)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func complete(r attest.Report) bool { return r.State == attest.Valid }

// writes counts requests that change something.
func writes(requests []registrytest.Request) (n int) {
	for _, r := range requests {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost && r.Method != http.MethodDelete {
			n++
		}
	}
	return n
}

// TestEvidence: all evidence is there once, whichever way the registry lists it, a second push
// adds nothing, and images have the digests that they have without.
func TestEvidence(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	bothKinds(t, func(t *testing.T, proxy *registrytest.Server) {
		f := newFamily(t, made{seed: 1, day: 1})
		rows := []gpu.Observation{row(f, "12.4-nbody-debian13", "nbody", "580.1", "9.0", gpu.Passed, 1)}
		without := f.options(proxy.Host + "/without")
		without.NoEvidence = true
		if result := mustRun(t, publisher(t, without), nil); result.Evidence.State != publish.Off || f.look(t, without.To, nil)[0].State != attest.Incomplete {
			t.Errorf("--evidence=false: %+v", result.Evidence)
		}
		for name, key := range map[string]*sign.Key{"bare": nil, "signed": key} {
			o := f.options(proxy.Host + "/" + name)
			o.Key, o.Rows = key, rows
			result := mustRun(t, publisher(t, o), nil)
			if result.Evidence.State != publish.Attached || result.Plan.Totals.EvidenceNew < 30 {
				t.Errorf("%s: %+v, %+v", name, result.Evidence, result.Plan.Totals)
			}
			if diff := cmp.Diff(tagsIn(t, without.To), tagsIn(t, o.To)); diff != "" {
				t.Errorf("%s: tags (-without evidence +with):\n%s", name, diff)
			}
			for _, r := range f.look(t, o.To, key) {
				if !complete(r) {
					t.Errorf("%s: %+v", name, r)
				}
			}
			proxy.Forget()
			again := mustRun(t, publisher(t, o), nil)
			if n := writes(proxy.Requests()); n > 0 || again.Plan.Totals.EvidenceNew > 0 || again.Plan.Totals.EvidenceThere != result.Plan.Totals.EvidenceNew {
				t.Errorf("%s: a second push wrote %d times, %+v", name, n, again.Plan.Totals)
			}
		}
		if r := f.look(t, proxy.Host+"/signed", newKey(t))[0]; complete(r) || len(r.Images[0].Missing) == 0 {
			t.Errorf("with another key: %+v", r)
		}
	})
}

// TestEvidenceStaged: who stages attaches what was built, who promotes what let it through.
func TestEvidenceStaged(t *testing.T) {
	t.Parallel()
	bothKinds(t, func(t *testing.T, proxy *registrytest.Server) {
		f := newFamily(t, made{seed: 1, day: 1})
		o := f.options(proxy.Host + "/cuda")
		o.ID, o.StageOnly = "42.1", true
		mustRun(t, publisher(t, o), nil)
		for _, r := range f.look(t, o.To, nil) {
			if r.State != attest.Incomplete || !slices.Equal(r.Images[0].Missing, []evidence.Kind{evidence.VSA}) {
				t.Errorf("staged: %+v", r)
			}
		}
		o.StageOnly, o.Images, o.Journals = false, nil, t.TempDir()
		mustRun(t, publisher(t, o), nil)
		for _, r := range f.look(t, o.To, nil) {
			if !complete(r) {
				t.Errorf("promoted: %+v", r)
			}
		}
	})
}

// TestEvidenceUndone: what a run has attached goes with it, and what was there before stays.
func TestEvidenceUndone(t *testing.T) {
	t.Parallel()
	bothKinds(t, func(t *testing.T, proxy *registrytest.Server) {
		f := newFamily(t, made{seed: 1, day: 1})
		some := f
		some.cells = f.cells[:2]
		first := some.options(proxy.Host + "/cuda")
		mustRun(t, publisher(t, first), nil)
		before, listed := some.look(t, first.To, nil), lists(t, first.To)
		for _, staged := range []bool{true, false} {
			o := f.options(first.To)
			o.Key, o.StageOnly = newKey(t), staged
			p := publisher(t, o)
			mustRun(t, p, nil)
			j, err := publish.ReadJournal(o.Journals, p.ID)
			if err != nil {
				t.Fatal(err)
			}
			undone, err := publisher(t, o).Undo(t.Context(), j)
			if err != nil || len(undone.Detached) == 0 || len(undone.Attached) > 0 {
				t.Errorf("Undo: %+v, %v", undone, err)
			}
			if diff := cmp.Diff(before, some.look(t, first.To, nil), cmpopts.IgnoreUnexported(attest.Image{}, attest.Attached{})); diff != "" {
				t.Errorf("evidence (-before +undone):\n%s", diff)
			}
			if diff := cmp.Diff(listed, lists(t, first.To)); diff != "" {
				t.Errorf("lists under tags (-before +undone):\n%s", diff)
			}
		}
	})
}

// lists are the tags of lists of what is attached.
func lists(t *testing.T, repository string) []string {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	tags, err := remote.List(repo)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(tags, func(tag string) bool { return !strings.HasPrefix(tag, "sha256-") })
}

// TestEvidenceNotTaken: a registry that takes none, or gives the image in place of its list, gets
// the images and tags all the same.
func TestEvidenceNotTaken(t *testing.T) {
	t.Parallel()
	for want, answers := range map[string]func(w http.ResponseWriter, r *http.Request, inner http.Handler) bool{
		publish.NotTaken: func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			body, _ := io.ReadAll(r.Body)
			if r.Body = io.NopCloser(bytes.NewReader(body)); !bytes.Contains(body, []byte("application/vnd.oci.empty.v1+json")) {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"errors":[{"code":"MANIFEST_INVALID","message":"unsupported config media type"}]}`)
			return true
		},
		publish.NotListed: func(w http.ResponseWriter, r *http.Request, inner http.Handler) bool {
			repository, digest, list := strings.Cut(r.URL.Path, "/manifests/sha256-")
			if !list {
				return false
			}
			image := httptest.NewRecorder()
			inner.ServeHTTP(image, httptest.NewRequest(r.Method, repository+"/manifests/sha256:"+digest, http.NoBody))
			w.Header().Set("Content-Type", image.Header().Get("Content-Type"))
			w.WriteHeader(image.Code)
			_, _ = w.Write(image.Body.Bytes())
			return true
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			to, f := odd(t, answers)+"/cuda", newFamily(t, made{seed: 1, day: 1})
			for range 2 {
				result := mustRun(t, publisher(t, f.options(to)), nil)
				if result.Evidence.State != want || result.Evidence.Why == "" {
					t.Errorf("evidence %+v", result.Evidence)
				}
				sameTags(t, to, f.tags())
			}
		})
	}
}

// TestEvidenceKeyOnResume: a run that signs does not go on without its key.
func TestEvidenceKeyOnResume(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	o := f.options(h.address + "/cuda")
	o.Key, o.StageOnly = newKey(t), true
	mustRun(t, publisher(t, o), nil)
	j, err := publish.ReadJournal(filepath.Join(f.dir, "push"), o.ID)
	if err != nil {
		t.Fatal(err)
	}
	o.Key = nil
	if err := publisher(t, o).Resume(j); err == nil || !strings.Contains(err.Error(), "give --sign-key") {
		t.Errorf("Resume: %v", err)
	}
}
