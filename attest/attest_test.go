// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/sign"
	"github.com/cudabuild/cudabuild/verify"
)

// shelf is a repository with one image.
type shelf struct {
	repo    name.Repository
	subject v1.Descriptor
	client  *registry.Client
	refs    *referrer.Repository
}

func newShelf(t *testing.T) shelf {
	t.Helper()
	return shelfOf(t, memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(true))) //nolint:forbidigo // what it wants
}

func shelfOf(t *testing.T, handler http.Handler) shelf {
	t.Helper()
	server := httptest.NewServer(handler)
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
	s.client, err = registry.New(t.Context(), s.repo, registry.Options{})
	must(err)
	s.refs, err = referrer.Open(s.repo, s.client)
	must(err)
	return s
}

func newKey(t *testing.T) *sign.Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := sign.Load(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// documents are all that an image has, as if it had that digest: those of an index of images, if there are any.
func (s shelf) documents(t *testing.T, digest string, images ...string) (all []evidence.Document) {
	t.Helper()
	subject, created := evidence.Subject{Name: s.repo.Name(), Digest: digest}, time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	if len(images) == 0 {
		images = []string{digest}
	}
	add := func(d evidence.Document, err error) evidence.Document {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
		return d
	}
	var lists []verify.Inventory
	var made []record.Made
	var reports []verify.Report
	for _, image := range images {
		lists = append(lists, verify.Inventory{Digest: image, Platform: "linux/amd64", Created: created})
		made = append(made, record.Made{Digest: image, Cell: "12.4-base-debian13", Platform: "linux/amd64"})
		reports = append(reports, verify.Report{Digest: image, Verdict: verify.Pass, Rules: verify.RulesVersion(), Findings: []verify.Finding{}})
	}
	add(evidence.NewSBOM(subject, created, "1.0", lists...))
	add(evidence.NewProvenance(subject, created, made...))
	report := add(evidence.NewReport(subject, created, reports...))
	add(evidence.NewVSA(subject, created, policy, []string{"verify warn: pass"}, report))
	return all
}

var policy = evidence.Policy{Verify: "warn"}

// sbom is a place in what documents returns.
const (
	sbom = iota
	provenance
	report
	vsa
)

// with is a document whose predicate was changed.
func with(t *testing.T, d evidence.Document, old, now string) evidence.Document {
	t.Helper()
	changed := bytes.Replace(d.Predicate, []byte(old), []byte(now), 1)
	if bytes.Equal(changed, d.Predicate) {
		t.Fatalf("%s is not in %s", old, d.Predicate)
	}
	d.Predicate = changed
	return d
}

// older are documents by the rules of another time.
func (s shelf) older(t *testing.T, all []evidence.Document) []evidence.Document {
	t.Helper()
	old := with(t, all[report], verify.RulesVersion(), "0.old")
	summary, err := evidence.NewVSA(all[vsa].Subject, all[vsa].Created, policy, []string{"verify warn: pass"}, old)
	if err != nil {
		t.Fatal(err)
	}
	return []evidence.Document{old, summary}
}

// attach attaches documents as they are.
func (s shelf) attach(t *testing.T, documents ...evidence.Document) {
	t.Helper()
	s.sign(t, nil, documents...)
}

// sign attaches documents that a key has signed, nil leaves them as they are.
func (s shelf) sign(t *testing.T, key *sign.Key, documents ...evidence.Document) {
	t.Helper()
	attests, err := attest.Open(s.repo, s.client, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents {
		if _, added, err := attests.Attach(t.Context(), attest.Document(d, s.subject)); err != nil || !added {
			t.Fatalf("Attach(%s): %v, %v", d.Kind, added, err)
		}
	}
}

// bundle is a document signed by a key.
func bundle(t *testing.T, key *sign.Key, d evidence.Document) string {
	t.Helper()
	data, err := key.Bundle(d.Statement())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (s shelf) raw(t *testing.T, a referrer.Artifact) {
	t.Helper()
	if _, _, err := s.refs.Attach(t.Context(), s.subject, a); err != nil {
		t.Fatal(err)
	}
}

func artifact(kind, text string) referrer.Artifact {
	return referrer.Artifact{Type: kind, MediaType: kind, Data: []byte(text)}
}

// told is what is looked at of a report.
type told struct {
	state   attest.State
	missing []evidence.Kind
	not     []string // "STATE KIND: WHY" of each document that is not valid
	others  int
}

// tell looks at one image, of an index at that.
func (s shelf) tell(t *testing.T, o attest.Options) (attest.Report, told) {
	t.Helper()
	r, err := attest.Look(t.Context(), s.repo.Digest(s.subject.Digest.String()).String(), o)
	if err != nil {
		t.Fatal(err)
	}
	img := r.Images[0]
	got := told{state: r.State, missing: img.Missing, others: img.Others}
	for _, d := range img.Documents {
		if d.State != attest.Valid {
			got.not = append(got.not, fmt.Sprintf("%s %s: %s", d.State, d.Kind, d.Why))
		}
	}
	return r, got
}

// compare wants parts of what is told of each document that is not valid.
func (want told) compare(t *testing.T, got told) {
	t.Helper()
	same := len(got.not) == len(want.not)
	slices.Sort(got.not)
	slices.Sort(want.not)
	for i := 0; same && i < len(want.not); i++ {
		same = strings.HasPrefix(got.not[i], want.not[i])
	}
	if !same || got.state != want.state || !slices.Equal(got.missing, want.missing) || got.others != want.others {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

const otherImage = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// TestLook: what is attached is said, and of each thing that does not hold, why.
func TestLook(t *testing.T) {
	t.Parallel()
	all := []evidence.Kind{evidence.SBOM, evidence.Provenance, evidence.Report, evidence.VSA}
	for name, tc := range map[string]struct {
		put func(t *testing.T, s shelf, all []evidence.Document)
		told
	}{
		"all":     {func(t *testing.T, s shelf, all []evidence.Document) { s.attach(t, all...) }, told{state: attest.Valid}},
		"nothing": {func(*testing.T, shelf, []evidence.Document) {}, told{state: attest.Incomplete, missing: all}},
		"of another image": {func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all...)
			s.attach(t, s.documents(t, otherImage)[provenance])
		}, told{state: attest.Incomplete, not: []string{"foreign provenance: it is about " + otherImage}}},
		"its report was taken away": {func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all[sbom], all[provenance], all[vsa])
		}, told{state: attest.Incomplete, missing: all[2:], not: []string{"stale vsa: it goes by a report that is not there"}}},
		"no document": {func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all...)
			s.raw(t, artifact(evidence.InToto, `{"_type": "x"`))
		}, told{state: attest.Incomplete, not: []string{"damaged : no document"}}},
		"that say nothing": {func(t *testing.T, s shelf, all []evidence.Document) {
			for _, d := range all {
				d.Predicate = json.RawMessage("{}")
				s.raw(t, artifact(evidence.InToto, string(d.Statement())))
			}
		}, told{state: attest.Incomplete, missing: all, others: 4}},
		"by rules of another time": {func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all[sbom], all[provenance])
			s.attach(t, s.older(t, all)...)
		}, told{state: attest.Incomplete, missing: all[2:], not: []string{"stale report: its rules are 0.old", "stale vsa: it goes by a report"}}},
		"older ones beside": {func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all...)
			s.attach(t, s.older(t, all)...)
		}, told{state: attest.Valid, not: []string{"stale report: its rules are 0.old", "stale vsa: it goes by a report"}}},
		"it has failed": {func(t *testing.T, s shelf, all []evidence.Document) {
			s.attach(t, all...)
			s.attach(t, with(t, all[report], `"verdict":"pass"`, `"verdict":"fail"`), with(t, all[vsa], `"PASSED"`, `"FAILED"`))
		}, told{state: attest.Incomplete, not: []string{"failed report: its verdict on ", `failed vsa: it says "FAILED"`}}},
		"of other tools": {others, told{state: attest.Valid, others: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			tc.put(t, s, s.documents(t, s.subject.Digest.String()))
			_, got := s.tell(t, attest.Options{})
			tc.compare(t, got)
		})
	}
}

// others attaches, beside all that an image has, what other tools attach to images.
func others(t *testing.T, s shelf, all []evidence.Document) {
	s.attach(t, all...)
	statement := func(subjects, kind, predicate string) string {
		return fmt.Sprintf(`{"_type": "https://in-toto.io/Statement/v1", "subject": [%s], "predicateType": %q, "predicate": %s}`, subjects, kind, predicate)
	}
	this := fmt.Sprintf(`{"digest": {"sha256": %q}}`, s.subject.Digest.Hex)
	for _, a := range []referrer.Artifact{
		artifact("application/vnd.cncf.notary.signature", `{}`),
		artifact(evidence.InToto, statement(this, "https://example.com/x", "{}")),
		artifact(evidence.InToto, statement(this, evidence.Provenance.PredicateType(), `{"buildDefinition": {"buildType": "https://mobyproject.org/buildkit@v1"}}`)),
		artifact(evidence.InToto, statement(this+","+this, evidence.Provenance.PredicateType(), "{}")),
		artifact(evidence.InToto, statement(this, evidence.VSA.PredicateType(), `"text"`)),
		artifact(evidence.SPDX, `{"spdxVersion": "SPDX-2.2"}`),
		artifact(evidence.SPDX, strings.Replace(string(all[sbom].Predicate), "Tool: cudabuild-1.0", "Tool: syft-1.0", 1)),
		artifact(sign.BundleType, `{"mediaType": "`+sign.BundleType+`", "messageSignature": {}}`),
		artifact(sign.BundleType, strings.Replace(bundle(t, newKey(t), all[vsa]), `[{"sig"`, `[{"sig":"AA=="},{"sig"`, 1)),
	} {
		s.raw(t, a)
	}
	layers, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	two := mutate.Subject(mutate.ConfigMediaType(mutate.MediaType(layers, types.OCIManifestSchema1), evidence.SPDX), s.subject)
	if err := remote.Write(s.repo.Tag("two"), two.(v1.Image)); err != nil {
		t.Fatal(err)
	}
}

// TestLookWithKey: what counts is what the key has signed about this image, and nothing that others attach takes
// that away.
func TestLookWithKey(t *testing.T) {
	t.Parallel()
	all := []evidence.Kind{evidence.SBOM, evidence.Provenance, evidence.Report, evidence.VSA, evidence.Signature}
	whole := func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) { s.sign(t, key, all...) }
	for name, tc := range map[string]struct {
		put func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document)
		told
	}{
		"all signed": {whole, told{state: attest.Valid}},
		"all signed by other": {func(t *testing.T, s shelf, _ *sign.Key, all []evidence.Document) { whole(t, s, newKey(t), all) }, told{state: attest.Incomplete, missing: all, not: []string{
			"unsigned provenance: signed by another key", "unsigned report: signed by another key", "unsigned sbom: signed by another key", "unsigned signature: signed by another key", "unsigned vsa: signed by another key",
		}}},
		"unsigned beside signed": {func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) {
			whole(t, s, key, all)
			s.attach(t, all[sbom], with(t, all[report], `"verdict":"pass"`, `"verdict":"fail"`))
		}, told{state: attest.Valid, not: []string{"unsigned report: nobody", "unsigned sbom: nobody"}}},
		"unsigned in place of signed": {func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) {
			whole(t, s, key, slices.Delete(slices.Clone(all), report, report+1))
			s.attach(t, all[report])
		}, told{state: attest.Incomplete, missing: all[2:4], not: []string{"stale vsa: it goes by a report", "unsigned report: nobody"}}},
		"of another image": {func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) {
			whole(t, s, key, all)
			s.sign(t, key, s.documents(t, otherImage)...)
		}, told{state: attest.Valid, not: []string{"foreign provenance: ", "foreign report: ", "foreign sbom: ", "foreign vsa: "}}},
		"of another image alone": {func(t *testing.T, s shelf, key *sign.Key, _ []evidence.Document) {
			s.sign(t, key, s.documents(t, otherImage)...)
		}, told{state: attest.Incomplete, missing: all, not: []string{"foreign provenance: ", "foreign report: ", "foreign sbom: ", "foreign vsa: "}}},
		"changed since": {func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) {
			whole(t, s, key, slices.Delete(slices.Clone(all), report, report+1))
			changed := with(t, all[report], `"verdict":"pass"`, `"verdict":"warn"`)
			encoded := base64.StdEncoding.EncodeToString
			s.raw(t, artifact(sign.BundleType, strings.Replace(bundle(t, key, all[report]), encoded(all[report].Statement()), encoded(changed.Statement()), 1)))
		}, told{state: attest.Incomplete, missing: all[2:4], not: []string{"stale vsa: it goes by a report", "unsigned : signed by another key, or changed since"}}},
		"damage by others": {func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) {
			whole(t, s, key, all)
			s.raw(t, artifact(evidence.InToto, "{"))
			s.raw(t, artifact(sign.BundleType, "{"))
			bad := all[vsa]
			bad.Predicate = bytes.Replace(bad.Predicate, []byte(`"policy"`), []byte(`"POLICY":{},"policy"`), 1)
			s.raw(t, artifact(sign.BundleType, bundle(t, newKey(t), bad)))
			signed := bundle(t, key, all[vsa])
			s.raw(t, artifact(sign.BundleType, strings.Replace(signed, `"dsseEnvelope"`, `"dsseEnvelope":{},"dsseEnvelope"`, 1)))
		}, told{state: attest.Valid, not: []string{`damaged : bundle: key "dsseEnvelope" is there twice`, "damaged : bundle: unexpected end", "unsigned : signed by another key"}, others: 1}},
		"damage by the key's owner": {func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) {
			whole(t, s, key, all)
			bad := all[vsa]
			bad.Predicate = bytes.Replace(bad.Predicate, []byte(`"policy"`), []byte(`"POLICY":{},"policy"`), 1)
			s.raw(t, artifact(sign.BundleType, bundle(t, key, bad)))
		}, told{state: attest.Incomplete, not: []string{`damaged : no document: key "policy" is there twice`}}},
		"failed, says the key's owner": {func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) {
			whole(t, s, key, all)
			s.sign(t, key, with(t, all[report], `"verdict":"pass"`, `"verdict":"fail"`))
		}, told{state: attest.Incomplete, not: []string{"failed report: its verdict on "}}},
		"failed by other rules, says the key's owner": {func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) {
			whole(t, s, key, all)
			s.sign(t, key, with(t, with(t, all[report], `"verdict":"pass"`, `"verdict":"fail"`), verify.RulesVersion(), "0.new"))
		}, told{state: attest.Incomplete, not: []string{"failed report: its verdict on "}}},
		"saying nothing": {func(t *testing.T, s shelf, key *sign.Key, all []evidence.Document) {
			for _, d := range all {
				d.Predicate = json.RawMessage("{}")
				s.raw(t, artifact(sign.BundleType, bundle(t, key, d)))
			}
		}, told{state: attest.Incomplete, missing: all[:4], others: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, key := newShelf(t), newKey(t)
			digest := s.subject.Digest.String()
			tc.put(t, s, key, append(s.documents(t, digest), evidence.NewSignature(evidence.Subject{Name: s.repo.Name(), Digest: digest}, time.Time{})))
			public := key.Public()
			r, got := s.tell(t, attest.Options{Key: &public})
			tc.compare(t, got)
			if r.Key != public.Hint() {
				t.Errorf("Key = %q, want %q", r.Key, public.Hint())
			}
		})
	}
}

// withoutAPI is a shelf whose registry keeps lists under tags and takes any, and loses the blobs that are named to it.
func withoutAPI(t *testing.T, damaged *sync.Map) shelf {
	t.Helper()
	inner := memory.New(memory.Logger(log.New(io.Discard, "", 0))) //nolint:forbidigo // what it wants
	return shelfOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, is := damaged.Load(path.Base(r.URL.Path)); is && r.Method == http.MethodGet {
			_, _ = io.WriteString(w, "{}")
			return
		}
		inner.ServeHTTP(w, r)
	}))
}

// TestLiesInList: what others write into the list of an image takes nothing away, and a push puts it right.
func TestLiesInList(t *testing.T) {
	t.Parallel()
	s, key := withoutAPI(t, &sync.Map{}), newKey(t)
	all := append(s.documents(t, s.subject.Digest.String()), evidence.NewSignature(evidence.Subject{Name: s.repo.Name(), Digest: s.subject.Digest.String()}, time.Time{}))
	s.sign(t, key, all...)
	tag := s.repo.Tag(referrer.Tag(s.subject.Digest))
	before, err := remote.Get(tag)
	if err != nil {
		t.Fatal(err)
	}
	lies := strings.NewReplacer(sign.BundleType, "application/vnd.example", `"size":`, `"size":1`, `dev.sigstore.bundle.predicateType`, "x").Replace(string(before.Manifest))
	lies = strings.Replace(lies, `"manifests":[`, `"manifests":[{"size":3},`, 1)
	if err := remote.Put(tag, raw(lies)); err != nil {
		t.Fatal(err)
	}
	public := key.Public()
	r, got := s.tell(t, attest.Options{Key: &public})
	told{state: attest.Valid}.compare(t, got)
	if bad := r.Images[0].Bad; len(bad) != 1 || !strings.HasPrefix(bad[0], "1 of its entries have no digest") {
		t.Errorf("Bad = %q", bad)
	}
	attests, err := attest.Open(s.repo, s.client, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		pieces := []attest.Piece{attest.Document(d, s.subject)}
		if there, err := attests.Find(t.Context(), s.subject.Digest, pieces); err != nil || there[0] != (v1.Hash{}) {
			t.Errorf("Find(%s) = %v, %v, want nothing that is listed as it should be", d.Kind, there, err)
		}
		if _, added, err := attests.Attach(t.Context(), pieces[0]); err != nil || added {
			t.Errorf("Attach(%s): added %v, %v", d.Kind, added, err)
		}
		if there, err := attests.Find(t.Context(), s.subject.Digest, pieces); err != nil || there[0] == (v1.Hash{}) {
			t.Errorf("Find(%s) = %v, %v, want it", d.Kind, there, err)
		}
	}
}

// raw is a list.
type raw string

func (r raw) RawManifest() ([]byte, error)      { return []byte(r), nil }
func (raw) MediaType() (types.MediaType, error) { return types.OCIImageIndex, nil }

// TestDamagedStore: a document whose blob the registry keeps in other bytes is damaged, of the kind that it was, and is not
// there once more, however often it is attached.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	var damaged sync.Map
	s, key := withoutAPI(t, &damaged), newKey(t)
	all := s.documents(t, s.subject.Digest.String())
	s.sign(t, key, all...)
	hash, _, err := v1.SHA256(strings.NewReader(bundle(t, key, all[vsa])))
	if err != nil {
		t.Fatal(err)
	}
	damaged.Store(hash.String(), true)
	public := key.Public()
	_, got := s.tell(t, attest.Options{Key: &public})
	told{state: attest.Incomplete, missing: []evidence.Kind{evidence.VSA, evidence.Signature}, not: []string{"damaged vsa: "}}.compare(t, got)
	attests, err := attest.Open(s.repo, s.client, key)
	if err != nil {
		t.Fatal(err)
	}
	piece := attest.Document(all[vsa], s.subject)
	for range 2 {
		if there, err := attests.Find(t.Context(), s.subject.Digest, []attest.Piece{piece}); err != nil || there[0] != (v1.Hash{}) {
			t.Errorf("Find = %v, %v, want nothing", there, err)
		}
		if _, added, err := attests.Attach(t.Context(), piece); err != nil || added {
			t.Errorf("Attach: added %v, %v", added, err)
		}
	}
}

// TestStrangers: what others attach is not decoded where a key is asked for, and looked at in the same order each time.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s, key := newShelf(t), newKey(t)
	s.sign(t, key, append(s.documents(t, s.subject.Digest.String()), evidence.NewSignature(evidence.Subject{Name: s.repo.Name(), Digest: s.subject.Digest.String()}, time.Time{}))...)
	huge := `{"spdxVersion":"SPDX-2.3","packages":[` + strings.Repeat("{},", 5_000_000) + `{}]}`
	a := artifact(evidence.SPDX, huge)
	a.Annotations = map[string]string{"in-toto.io/predicate-type": evidence.SBOM.PredicateType()}
	s.raw(t, a)
	for i := range 20 {
		s.raw(t, artifact(evidence.InToto, fmt.Sprintf(`{"a": %d`, i)))
	}
	public := key.Public()
	first, got := s.tell(t, attest.Options{Key: &public})
	told{state: attest.Valid, not: []string{"unsigned sbom: nobody has signed it"}, others: 20}.compare(t, got)
	if again, _ := s.tell(t, attest.Options{Key: &public}); !reflect.DeepEqual(first, again) {
		t.Errorf("another report:\n%+v\n%+v", first, again)
	}
	open, got := s.tell(t, attest.Options{})
	if open.State != attest.Incomplete || len(got.not) != 20 || got.others != 1 {
		t.Errorf("without a key: %+v", got)
	}
	if again, _ := s.tell(t, attest.Options{}); !reflect.DeepEqual(open, again) {
		t.Errorf("another report:\n%+v\n%+v", open, again)
	}
}

// TestLookForPolicy: a summary holds by the policy that is asked for, whatever others are there.
func TestLookForPolicy(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	all := s.documents(t, s.subject.Digest.String())
	s.attach(t, all...)
	strict := evidence.Policy{Verify: "pass"}
	o := attest.Options{Policy: strict.Digest()}
	loose := "stale vsa: it is by another policy than the one that is asked for, " + o.Policy
	_, got := s.tell(t, o)
	told{state: attest.Incomplete, missing: []evidence.Kind{evidence.VSA}, not: []string{loose}}.compare(t, got)
	summary, err := evidence.NewVSA(all[vsa].Subject, all[vsa].Created, strict, []string{"verify pass: pass"}, all[report])
	if err != nil {
		t.Fatal(err)
	}
	s.attach(t, summary)
	r, got := s.tell(t, o)
	told{state: attest.Valid, not: []string{loose}}.compare(t, got)
	if d := r.Images[0].Documents[0]; r.Policy != o.Policy || r.Repository != s.repo.Name() || d.Repository != s.repo.Name() {
		t.Errorf("Policy = %q, Repository = %q, %q, want %q, %q", r.Policy, r.Repository, d.Repository, o.Policy, s.repo.Name())
	}
}

// TestLookAtIndex: documents of an index are about all its images, and what was not looked at is named.
func TestLookAtIndex(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		of      int // images that the documents are about, of two
		nested  bool
		skipped []string
		told
	}{
		"all": {of: 2, told: told{state: attest.Valid}, skipped: []string{"of no platform", `a "text/plain"`}},
		"one": {of: 1, told: told{state: attest.Incomplete, missing: []evidence.Kind{evidence.SBOM, evidence.Report, evidence.VSA}, not: []string{
			"failed report: it leaves out ", "failed sbom: it leaves out ", "stale vsa: it goes by a report",
		}}, skipped: []string{"of no platform", `a "text/plain"`}},
		"nested": {of: 2, nested: true, told: told{state: attest.Incomplete}, skipped: []string{"of no platform", `a "text/plain"`, "an index in the index"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			index, images := s.index(t, tc.nested)
			for _, d := range images {
				s.subject = d
				s.attach(t, s.documents(t, d.Digest.String())...)
			}
			s.subject = index
			s.attach(t, s.documents(t, index.Digest.String(), []string{images[0].Digest.String(), images[1].Digest.String()}[:tc.of]...)...)
			r, got := s.tell(t, attest.Options{})
			tc.compare(t, got)
			var skipped []string
			for _, s := range r.Skipped {
				skipped = append(skipped, s.Is)
			}
			if diff := cmp.Diff(tc.skipped, skipped); diff != "" {
				t.Errorf("Skipped (-want +got):\n%s", diff)
			}
		})
	}
}

// index puts one of two images there, with what is no image.
func (s shelf) index(t *testing.T, nested bool) (index v1.Descriptor, images []v1.Descriptor) {
	t.Helper()
	all := v1.ImageIndex(empty.Index)
	add := func(what mutate.Appendable, d v1.Descriptor) {
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: what, Descriptor: d})
	}
	for _, arch := range []string{"amd64", "arm64", "unknown"} {
		img, err := random.Image(100, 1)
		if err != nil {
			t.Fatal(err)
		}
		os := "linux"
		if arch == "unknown" {
			os = arch
		}
		d, err := partial.Descriptor(img)
		if err != nil {
			t.Fatal(err)
		}
		add(img, v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: arch}})
		images = append(images, *d)
	}
	add(static.NewLayer([]byte("text"), "text/plain"), v1.Descriptor{})
	if nested {
		add(empty.Index, v1.Descriptor{})
	}
	if err := remote.WriteIndex(s.repo.Tag("index"), all); err != nil {
		t.Fatal(err)
	}
	d, err := partial.Descriptor(all)
	if err != nil {
		t.Fatal(err)
	}
	return *d, images[:2]
}

// TestKept: what is kept of what others attach is small, however large that is.
func TestKept(t *testing.T) {
	t.Parallel()
	s, key := newShelf(t), newKey(t)
	all := s.documents(t, s.subject.Digest.String())
	long := strings.Repeat("x\u2028", 1<<20)
	s.attach(t,
		with(t, all[provenance], `"platforms":["linux/amd64"]`, `"platforms":["`+long+`"`+strings.Repeat(`,"a"`, 1000)+`]`),
		with(t, all[report], `"verdict":"pass"`, `"verdict":"`+long+`"`),
		with(t, all[vsa], `"inputAttestations":[`, `"inputAttestations":[`+strings.Repeat(`{"name":"rows"},`, 100_000)),
	)
	s.raw(t, artifact(sign.BundleType, strings.Replace(bundle(t, key, all[sbom]), `"hint":"`, `"hint":"`+long, 1)))
	s.raw(t, artifact(evidence.SPDX, strings.Replace(string(all[sbom].Predicate), `{`, `{"`+long+`":1,"`+long+`":2,`, 1)))
	r, _ := s.tell(t, attest.Options{})
	data, err := json.Marshal(r)
	if documents := len(r.Images[0].Documents); err != nil || documents != 5 || len(data) > 5*10<<10 {
		t.Errorf("%d documents, %d bytes of JSON, %v, want 5 and no more than 10 KiB each", documents, len(data), err)
	}
}

// TestHugeIndex: an index is read in bounded memory.
func TestHugeIndex(t *testing.T) {
	t.Parallel()
	index := `{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [` + strings.Repeat("{},", 1_000_000) + `{}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			_, _ = io.WriteString(w, index)
		}
	}))
	t.Cleanup(server.Close)
	_, err := attest.Look(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/cuda:one", attest.Options{})
	if err == nil || !strings.Contains(err.Error(), "manifest: ") {
		t.Errorf("Look: %v, want that it is too large", err)
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
