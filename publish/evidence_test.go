// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/record"
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
	key, err := sign.Load(newPEM(tb), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func newPEM(tb testing.TB) []byte {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
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

// TestEvidence: all evidence is there once, whichever way the registry lists it, and a second push adds
// nothing. Tags name the same digests without evidence and with it, on both registries, after each push.
func TestEvidence(t *testing.T) {
	t.Parallel()
	key, tags := newKey(t), newFamily(t, made{seed: 1, day: 1}).tags()
	bothKinds(t, func(t *testing.T, proxy *registrytest.Server) {
		f := newFamily(t, made{seed: 1, day: 1})
		rows := []gpu.Observation{row(f, "12.4-nbody-debian13", "nbody", "580.1", "9.0", gpu.Passed, 1)}
		without := f.options(proxy.Host + "/without")
		without.NoEvidence = true
		if result := mustRun(t, publisher(t, without), nil); result.Evidence.State != publish.Off || f.look(t, without.To, nil)[0].State != attest.Incomplete {
			t.Errorf("--evidence=false: %+v", result.Evidence)
		}
		sameTags(t, without.To, tags)
		for name, key := range map[string]*sign.Key{"bare": nil, "signed": key} {
			o := f.options(proxy.Host + "/" + name)
			o.Key, o.Rows = key, rows
			result := mustRun(t, publisher(t, o), nil)
			if result.Evidence.State != publish.Attached || result.Plan.Totals.EvidenceNew < 30 {
				t.Errorf("%s: %+v, %+v", name, result.Evidence, result.Plan.Totals)
			}
			sameTags(t, o.To, tags)
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
			sameTags(t, o.To, tags)
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

// TestEvidenceUndone: what a run has attached goes with the names of its images, and what was there before stays.
func TestEvidenceUndone(t *testing.T) {
	t.Parallel()
	bothKinds(t, func(t *testing.T, proxy *registrytest.Server) {
		f := newFamily(t, made{seed: 1, day: 1})
		some, others := f, f
		some.cells = f.cells[:2]
		others.record = &record.Run{Cells: f.record.Cells[2:]}
		others.cells = f.cells[2:]
		first := some.options(proxy.Host + "/cuda")
		mustRun(t, publisher(t, first), nil)
		listed := lists(t, first.To)
		for _, staged := range []bool{true, false} {
			o := f.options(first.To)
			o.Key, o.StageOnly = newKey(t), staged
			p := publisher(t, o)
			mustRun(t, p, nil)
			undone, err := publisher(t, o).Undo(t.Context(), journalOf(t, o))
			if err != nil || len(undone.Detached) == 0 || len(undone.Kept) == 0 || len(undone.Attached) > 0 {
				t.Errorf("Undo: %+v, %v", undone, err)
			}
			for _, r := range some.look(t, first.To, nil) {
				if !complete(r) {
					t.Errorf("of an image that has its tag: %+v", r)
				}
			}
			for _, r := range others.look(t, first.To, nil) {
				for _, img := range r.Images {
					if len(img.Documents) > 0 {
						t.Errorf("of an image without a tag: %+v", img)
					}
				}
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
// the images and tags all the same, unless they are to be signed; and undoing has nothing to take away.
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
			signed := f.options(to)
			signed.Key = newKey(t)
			if _, err := publisher(t, signed).Run(t.Context(), nil); hint.Code(err, 3) != 1 || hint.Of(err) != "--evidence=false publishes without evidence" {
				t.Errorf("with a key: %v", err)
			}
			if undone, err := publisher(t, signed).Abandon(t.Context(), journalOf(t, signed)); err != nil || len(undone.Attached)+len(undone.Detached) > 0 {
				t.Errorf("Abandon: %+v, %v", undone, err)
			}
			sameTags(t, to, map[string]string{})
			o := f.options(to)
			for range 2 {
				o.ID = publish.NewRunID()
				result := mustRun(t, publisher(t, o), nil)
				if result.Evidence.State != want || result.Evidence.Why == "" || len(result.Evidence.Without) != 8 || result.Plan.Totals.EvidenceNew > 0 {
					t.Errorf("evidence %+v of %+v", result.Evidence, result.Plan.Totals)
				}
				sameTags(t, to, f.tags())
			}
			staged := o
			staged.ID, staged.StageOnly = "staged", true
			mustRun(t, publisher(t, staged), nil)
			staged.StageOnly, staged.Images, staged.Journals = false, nil, t.TempDir()
			mustRun(t, publisher(t, staged), nil)
		})
	}
}

// TestEvidenceOfOneNotTaken: where the list of one image is something else, the others have their evidence.
func TestEvidenceOfOneNotTaken(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	o := f.options(h.address + "/cuda")
	repo, err := name.NewRepository(o.To)
	if err != nil {
		t.Fatal(err)
	}
	first := f.record.Cells[0].Digest
	if err := remote.Write(repo.Tag(strings.Replace(first, ":", "-", 1)), empty.Image); err != nil {
		t.Fatal(err)
	}
	signed := o
	signed.Key, signed.ID = newKey(t), publish.NewRunID()
	if _, err := publisher(t, signed).Run(t.Context(), nil); hint.Code(err, 3) != 1 || len(tagsIn(t, o.To)) > 0 {
		t.Errorf("with a key: %v, and there is a tag", err)
	}
	result := mustRun(t, publisher(t, o), nil)
	if result.Evidence.State != publish.NotListed || !slices.Equal(result.Evidence.Without, []string{first}) || result.Plan.Totals.EvidenceNew != 7*4 {
		t.Errorf("evidence %+v of %+v", result.Evidence, result.Plan.Totals)
	}
	f.cells, f.record = f.cells[1:], &record.Run{Cells: f.record.Cells[1:]}
	f.allComplete(t, o.To)
}

// TestEvidenceCollected: what is listed and gone is attached again.
func TestEvidenceCollected(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	o := f.options(h.address + "/cuda")
	plan := mustRun(t, publisher(t, o), nil).Plan
	repo, err := name.NewRepository(o.To)
	if err != nil {
		t.Fatal(err)
	}
	gone := 0
	for _, c := range plan.Cells {
		for i, e := range c.Evidence {
			if i%3 == 0 {
				continue
			}
			img, err := remote.Image(repo.Digest(e.Digest))
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := img.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			path := "/v2/cuda/manifests/" + e.Digest
			if i%3 == 1 { // the manifest stays
				path = "/v2/cuda/blobs/" + manifest.Layers[0].Digest.String()
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+h.address+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := (&http.Client{}).Do(request)
			if err != nil || answer.StatusCode != http.StatusAccepted {
				t.Fatalf("DELETE %s: %v, %v", path, answer, err)
			}
			answer.Body.Close()
			gone++
		}
	}
	o.ID = publish.NewRunID()
	if again := mustRun(t, publisher(t, o), nil).Plan.Totals; again.EvidenceNew != gone {
		t.Errorf("of %d documents that are gone %d are attached again", gone, again.EvidenceNew)
	}
	f.allComplete(t, o.To)
}

// TestEvidenceOfOthersIsReadOnce: bundles of another key are read once, and only for documents of their kind.
func TestEvidenceOfOthersIsReadOnce(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	o := f.options(h.address + "/cuda")
	o.Key = newKey(t)
	theirs := mustRun(t, publisher(t, o), nil).Plan.Totals.EvidenceNew
	o.Key, o.StageOnly = newKey(t), true // which asks for three of five kinds
	h.sent("")
	if _, err := publisher(t, o).Plan(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := h.sent("GET /v2/cuda/blobs/"); n != theirs*3/5 {
		t.Errorf("%d blobs were read for %d bundles", n, theirs)
	}
}

// TestStagedWithout: who moves the tags of what was staged without evidence, or signed by another key, is told.
func TestStagedWithout(t *testing.T) {
	t.Parallel()
	f := newFamily(t, made{seed: 1, day: 1})
	key := newKey(t)
	for name, staged := range map[string]func(*publish.Options){
		"without evidence": func(o *publish.Options) { o.NoEvidence = true },
		"without the key":  func(o *publish.Options) { o.Key = nil },
		"another key":      func(o *publish.Options) { o.Key = newKey(t) },
	} {
		h := newHost(t)
		o := f.options(h.address + "/cuda")
		o.ID, o.Key, o.Journals = "42.1", key, t.TempDir()
		stage := o
		stage.StageOnly = true
		right := stage
		staged(&stage)
		mustRun(t, publisher(t, stage), nil)
		o.Images, o.Journals = nil, t.TempDir()
		if _, err := publisher(t, o).Run(t.Context(), nil); hint.Code(err, 3) != 1 || !strings.Contains(err.Error(), "was staged without its sbom") {
			t.Errorf("%s: %v", name, err)
		}
		for tag := range tagsIn(t, o.To) {
			if !strings.HasPrefix(tag, "staging-") {
				t.Errorf("%s: tag %s is there", name, tag)
			}
		}
		right.Journals, o.Journals = t.TempDir(), t.TempDir()
		mustRun(t, publisher(t, right), nil)
		mustRun(t, publisher(t, o), nil)
		for _, r := range f.look(t, o.To, key) {
			if !complete(r) {
				t.Errorf("%s, and staged again: %+v", name, r)
			}
		}
	}
}

// TestEvidenceAsPlanned: a plan is carried out with the evidence and key that it was made with.
func TestEvidenceAsPlanned(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	key := newKey(t)
	with := func(change func(*publish.Options)) publish.Options {
		o := f.options(h.address + "/cuda")
		o.Key = key
		change(&o)
		return o
	}
	same := with(func(*publish.Options) {})
	plan, err := publisher(t, same).Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]publish.Options{
		"no key":      with(func(o *publish.Options) { o.Key = nil }),
		"another key": with(func(o *publish.Options) { o.Key = newKey(t) }),
		"no evidence": with(func(o *publish.Options) { o.NoEvidence = true }),
		"no SBOM":     with(func(o *publish.Options) { o.Inventory = nil }),
		"another one": with(func(o *publish.Options) { o.Program = "2" }),
	} {
		if _, err := publisher(t, o).Run(t.Context(), plan); hint.Code(err, 3) != 1 || len(tagsIn(t, o.To)) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustRun(t, publisher(t, same), plan)
}

// TestEvidenceKeyOnResume: a run goes on with its key, or with none if it had none.
func TestEvidenceKeyOnResume(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1})
	key := newKey(t)
	for name, tc := range map[string]struct{ began, now *sign.Key }{"none": {key, nil}, "another": {key, newKey(t)}, "first": {nil, key}} {
		o := f.options(h.address + "/cuda")
		o.Key, o.StageOnly = tc.began, true
		mustRun(t, publisher(t, o), nil)
		goesOn := func(key *sign.Key, change func(*publish.Options)) error {
			o := o
			o.Key = key
			change(&o)
			return publisher(t, o).Resume(journalOf(t, o))
		}
		if err := goesOn(tc.now, func(*publish.Options) {}); err == nil || !strings.Contains(err.Error(), "goes on with the same --sign-key") {
			t.Errorf("%s: Resume: %v", name, err)
		}
		if err := errors.Join(goesOn(tc.began, func(*publish.Options) {}), goesOn(nil, func(o *publish.Options) { o.NoEvidence = true })); err != nil {
			t.Errorf("%s: Resume: %v", name, err)
		}
	}
}
