// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/verify"
)

// shelf is a repository with one image.
type shelf struct {
	repo    name.Repository
	subject v1.Descriptor
	attests *attest.Repository
	refs    *referrer.Repository
}

func newShelf(t *testing.T) shelf {
	t.Helper()
	server := httptest.NewServer(memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(true))) //nolint:forbidigo // what it wants
	t.Cleanup(server.Close)
	s := shelf{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.repo, err = name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/cuda")
	must(err)
	img, err := random.Image(100, 1)
	must(err)
	must(remote.Write(s.repo.Tag("one"), img))
	got, err := remote.Head(s.repo.Tag("one"))
	must(err)
	s.subject = v1.Descriptor{MediaType: got.MediaType, Digest: got.Digest, Size: got.Size}
	client, err := registry.New(t.Context(), s.repo, registry.Options{})
	must(err)
	s.attests, err = attest.Open(s.repo, client, nil)
	must(err)
	s.refs, err = referrer.Open(s.repo, client)
	must(err)
	return s
}

// documents are all that an image has, as if it had that digest.
func (s shelf) documents(t *testing.T, digest string) (all []evidence.Document) {
	t.Helper()
	subject, created := evidence.Subject{Name: s.repo.Name(), Digest: digest}, time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	add := func(d evidence.Document, err error) evidence.Document {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
		return d
	}
	add(evidence.NewSBOM(subject, created, "1.0", verify.Inventory{Digest: digest, Platform: "linux/amd64", Created: created}))
	add(evidence.NewProvenance(subject, created, record.Made{Digest: digest, Cell: "12.4-base-debian13", Platform: "linux/amd64"}))
	report := add(evidence.NewReport(subject, created, verify.Report{Digest: digest, Verdict: verify.Pass, Rules: verify.RulesVersion(), Findings: []verify.Finding{}}))
	add(evidence.NewVSA(subject, created, evidence.Policy{Verify: "warn"}, []string{"verify warn: pass"}, report))
	return all
}

func (s shelf) attach(t *testing.T, documents ...evidence.Document) {
	t.Helper()
	for _, d := range documents {
		if _, added, err := s.attests.Attach(t.Context(), attest.Document(d, s.subject)); err != nil || !added {
			t.Fatalf("Attach(%s): %v, %v", d.Kind, added, err)
		}
	}
}

func (s shelf) raw(t *testing.T, a referrer.Artifact) {
	t.Helper()
	if _, _, err := s.refs.Attach(t.Context(), s.subject, a); err != nil {
		t.Fatal(err)
	}
}

// TestLook: what is attached is said, and of each thing that does not hold, why.
func TestLook(t *testing.T) {
	t.Parallel()
	other := "sha256:" + strings.Repeat("1", 64)
	bare := func(kind, text string) referrer.Artifact {
		return referrer.Artifact{Type: kind, MediaType: kind, Data: []byte(text)}
	}
	for name, tc := range map[string]struct {
		put     func(t *testing.T, s shelf, all []evidence.Document)
		state   attest.State
		missing []evidence.Kind
		why     string // of the one document that does not hold
		others  int
	}{
		"all": {put: func(t *testing.T, s shelf, all []evidence.Document) { s.attach(t, all...) }, state: attest.Valid},
		"nothing": {
			put: func(*testing.T, shelf, []evidence.Document) {}, state: attest.Incomplete,
			missing: []evidence.Kind{evidence.SBOM, evidence.Provenance, evidence.Report, evidence.VSA},
		},
		"of another image": {put: func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all...)
			s.attach(t, s.documents(t, other)[1])
		}, state: attest.Incomplete, why: "it is about " + other},
		"its report was taken away": {put: func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all[0], all[1], all[3])
		}, state: attest.Incomplete, missing: []evidence.Kind{evidence.Report, evidence.VSA}, why: "is not there"},
		"no document": {put: func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all...)
			s.raw(t, bare(evidence.InToto, `{"_type": "x"}`))
		}, state: attest.Incomplete, why: "no document"},
		"of other tools": {put: func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all...)
			s.raw(t, bare("application/vnd.cncf.notary.signature", `{}`))
			s.raw(t, bare(evidence.InToto, `{"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "1"}}], "predicateType": "https://example.com/x", "predicate": {}}`))
		}, state: attest.Valid, others: 2},
		"by rules of another time": {put: func(t *testing.T, s shelf, all []evidence.Document) {
			all[2].Predicate = bytes.Replace(all[2].Predicate, []byte(verify.RulesVersion()), []byte("0.old"), 1)
			s.attach(t, all[:3]...)
		}, state: attest.Incomplete, missing: []evidence.Kind{evidence.Report, evidence.VSA}, why: "its rules are 0.old"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			tc.put(t, s, s.documents(t, s.subject.Digest.String()))
			r, err := attest.Look(t.Context(), s.repo.Tag("one").String(), attest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			img := r.Images[0]
			if r.State != tc.state || !slices.Equal(img.Missing, tc.missing) || img.Others != tc.others {
				t.Errorf("state %s, missing %v, %d others, want %s, %v, %d", r.State, img.Missing, img.Others, tc.state, tc.missing, tc.others)
			}
			var why []string
			for _, d := range img.Documents {
				if d.State != attest.Valid {
					why = append(why, d.Why)
				}
			}
			if text := strings.Join(why, "; "); len(why) > 1 || !strings.Contains(text, tc.why) || (len(why) > 0) != (tc.why != "") {
				t.Errorf("what does not hold: %q, want one with %q", text, tc.why)
			}
		})
	}
}

// TestUnread: what cannot be read is an error, and no list of nothing.
func TestUnread(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for _, ref := range []string{s.repo.Tag("two").String(), "localhost:1/cuda:one", "a b"} {
		if r, err := attest.Look(t.Context(), ref, attest.Options{}); err == nil {
			t.Errorf("Look(%s) = %+v, want an error", ref, r)
		}
	}
}
