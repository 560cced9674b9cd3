// SPDX-License-Identifier: Apache-2.0

package referrer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
)

// withAPI is a registry in memory that has the referrers API or not.
func withAPI(api bool) http.Handler {
	return memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(api)) //nolint:forbidigo // the kind of logger that this registry knows
}

// kinds are registries of both kinds, behind proxies.
func kinds(t *testing.T) map[string]*registrytest.Server {
	t.Helper()
	return map[string]*registrytest.Server{
		"API": registrytest.Serve(t, withAPI(true)),
		"tag": registrytest.Proxy(t, registrytest.Start(t, nil).Host),
	}
}

// open opens a repository with a client of its own.
func open(t *testing.T, repository string) *referrer.Repository {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(t.Context(), repo, registry.Options{Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r, err := referrer.Open(repo, client)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// push brings an image, or an index of two, into a repository and returns its descriptor.
func push(t *testing.T, repository string, mediaType types.MediaType) v1.Descriptor {
	t.Helper()
	var what remote.Taggable
	img, err := random.Image(100, 2)
	if err == nil && mediaType.IsImage() {
		what = mutate.MediaType(img, mediaType)
	}
	if err == nil && mediaType.IsIndex() {
		index, failed := random.Index(100, 1, 2)
		what, err = mutate.IndexMediaType(index, mediaType), failed
	}
	ref, failed := name.ParseReference(repository + ":image")
	if err = errors.Join(err, failed); err == nil {
		err = remote.Push(ref, what)
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := partial.Descriptor(what.(partial.Describable))
	if err != nil {
		t.Fatal(err)
	}
	return *d
}

func artifact(n int) referrer.Artifact {
	return referrer.Artifact{
		Type: "application/spdx+json", MediaType: "application/spdx+json", Data: fmt.Appendf(nil, `{"n": %d, "a": "<&>"}`, n),
		Annotations: map[string]string{"org.opencontainers.image.created": "2026-11-29T00:00:00Z", "n": fmt.Sprint(n)},
	}
}

// attach attaches and fails the test if that does not do what is wanted.
func attach(t *testing.T, r *referrer.Repository, subject v1.Descriptor, a referrer.Artifact, want bool) v1.Hash {
	t.Helper()
	digest, added, err := r.Attach(t.Context(), subject, a)
	if err != nil || added != want {
		t.Fatalf("Attach = %v, added %v, %v, want added %v", digest, added, err, want)
	}
	return digest
}

// listed returns what is attached, as their numbers.
func listed(t *testing.T, r *referrer.Repository, subject v1.Descriptor) (all []referrer.Found) {
	t.Helper()
	all, err := r.List(t.Context(), subject.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAttach attaches to images and indexes of all kinds, finds it again with type and
// annotations, and sends nothing twice.
func TestAttach(t *testing.T) {
	t.Parallel()
	for kind, server := range kinds(t) {
		for i, mediaType := range []types.MediaType{types.OCIManifestSchema1, types.OCIImageIndex, types.DockerManifestSchema2, types.DockerManifestList} {
			t.Run(kind+" "+string(mediaType), func(t *testing.T) {
				repository := fmt.Sprintf("%s/attach-%d", server.Host, i)
				subject := push(t, repository, mediaType)
				r := open(t, repository)
				if found := listed(t, r, subject); len(found) > 0 {
					t.Errorf("before: %v", found)
				}
				var want []string
				for n := range 3 {
					want = append(want, attach(t, r, subject, artifact(n), true).String())
				}
				slices.Sort(want)
				server.Forget()
				again := open(t, repository)
				var got []string
				for _, f := range listed(t, again, subject) {
					got = append(got, f.Digest)
					a, err := again.Read(t.Context(), f)
					n := 0
					_, _ = fmt.Sscan(f.Annotations["n"], &n)
					if diff := cmp.Diff(artifact(n), a); err != nil || diff != "" || f.Type != a.Type || f.Subject != subject.Digest.String() {
						t.Errorf("%+v: %v (-attached +read)\n%s", f, err, diff)
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("attached (-) and listed (+):\n%s", diff)
				}
				attach(t, again, subject, artifact(1), false)
				for _, request := range server.Requests() {
					if request.Method != http.MethodGet && request.Method != http.MethodHead {
						t.Errorf("sent again: %s %s", request.Method, request.Path)
					}
				}
			})
		}
	}
}

// TestDigest: an artifact is known again by its digest, so it must never be another.
func TestDigest(t *testing.T) {
	t.Parallel()
	subject := v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: 3, Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}}
	raw, d := artifact(1).Manifest(subject)
	const want = "sha256:2ec96e43b8726bd5cd490c10b9b14fa279720ae59a98167d9dd10f957cc3e231"
	if d.Digest.String() != want {
		t.Errorf("digest %s, want %s of\n%s", d.Digest, want, raw)
	}
}

// TestAddAll attaches several artifacts, of which one is there already, with one list.
func TestAddAll(t *testing.T) {
	t.Parallel()
	server := registrytest.Serve(t, withAPI(false))
	repository := server.Host + "/repo"
	subject, r := push(t, repository, types.OCIManifestSchema1), open(t, repository)
	attach(t, r, subject, artifact(0), true)
	var all []referrer.Raw
	for n := range 5 {
		raw, d := artifact(n).Manifest(subject)
		all = append(all, referrer.Raw{Descriptor: d, Bytes: raw})
	}
	puts := func(reference string) (n int) {
		for _, r := range server.Requests() {
			if r.Method == http.MethodPut && strings.HasPrefix(r.Path, "/v2/repo/manifests/"+reference) {
				n++
			}
		}
		return n
	}
	server.Forget()
	if err := r.AddAll(t.Context(), subject.Digest, all); err != nil || puts("sha256:") != 4 || puts("sha256-") != 1 {
		t.Errorf("AddAll: %v, %d manifests and %d lists sent, want 4 and 1", err, puts("sha256:"), puts("sha256-"))
	}
	if found := listed(t, r, subject); len(found) != 5 || found[0].Annotations["n"] == "" {
		t.Errorf("%+v, want 5", found)
	}
	server.Forget()
	if err := r.AddAll(t.Context(), subject.Digest, all); err != nil || puts("") != 0 {
		t.Errorf("AddAll again: %v, %d sent", err, puts(""))
	}
}

func TestIsTag(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]bool{
		referrer.Tag(someone): true, "sha256-" + strings.Repeat("A", 64): false, "sha256-12": false, "sha512-" + strings.Repeat("a", 64): false,
		referrer.Tag(someone) + ".sig": false, "latest": false, "": false,
	} {
		if got := referrer.IsTag(tag); got != want {
			t.Errorf("IsTag(%q) = %t", tag, got)
		}
	}
}

// TestTag compares the list under the tag with what go-containerregistry makes of it.
func TestTag(t *testing.T) {
	t.Parallel()
	server := registrytest.Start(t, nil)
	entries := func(repository string, subject v1.Descriptor) []v1.Descriptor {
		ref, _ := name.NewTag(repository + ":" + referrer.Tag(subject.Digest))
		index, err := remote.Index(ref)
		if err != nil {
			t.Fatal(err)
		}
		m, err := index.IndexManifest()
		if err != nil || m.MediaType != types.OCIImageIndex || m.SchemaVersion != 2 {
			t.Fatalf("%+v, %v", m, err)
		}
		return m.Manifests
	}
	ours, theirs := server.Host+"/ours", server.Host+"/theirs"
	subject := push(t, ours, types.OCIManifestSchema1)
	raw, want := artifact(1).Manifest(subject)
	attach(t, open(t, ours), subject, artifact(1), true)
	if diff := cmp.Diff([]v1.Descriptor{want}, entries(ours, subject)); diff != "" {
		t.Errorf("ours (-want +got):\n%s", diff)
	}
	repo, _ := name.NewRepository(theirs)
	attach(t, open(t, theirs), push(t, theirs, types.OCIManifestSchema1), artifact(1), true) // its blobs are there
	if err := remote.Put(repo.Digest(want.Digest.String()), bare(raw)); err != nil {
		t.Fatal(err)
	}
	if got := entries(theirs, subject); len(got) != 1 || got[0].Annotations != nil {
		t.Errorf("go-containerregistry writes annotations now: use its Put? %+v", got)
	}
}

type bare []byte

func (b bare) RawManifest() ([]byte, error)        { return b, nil }
func (b bare) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// TestTogether: clients that attach at once, through one repository and through several, lose nothing.
func TestTogether(t *testing.T) {
	t.Parallel()
	for kind, server := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			repository := server.Host + "/together"
			subject := push(t, repository, types.OCIManifestSchema1)
			var all sync.WaitGroup
			for client := range 3 {
				r := open(t, repository)
				for n := range 3 {
					all.Go(func() {
						if _, _, err := r.Attach(t.Context(), subject, artifact(3*client+n)); err != nil {
							t.Error(err)
						}
					})
				}
			}
			all.Wait()
			if found := listed(t, open(t, repository), subject); len(found) != 9 {
				t.Errorf("9 were attached, and %d are listed", len(found))
			}
		})
	}
}

// TestOverwritten: somebody else who read the list before us writes theirs over ours.
func TestOverwritten(t *testing.T) {
	t.Parallel()
	upstream := registrytest.Start(t, nil)
	repository := upstream.Host + "/overwritten"
	subject := push(t, repository, types.OCIManifestSchema1)
	first := attach(t, open(t, repository), subject, artifact(1), true)
	tag, _ := name.NewTag(repository + ":" + referrer.Tag(subject.Digest))
	theirs, err := remote.Get(tag)
	if err != nil {
		t.Fatal(err)
	}
	proxy := registrytest.Proxy(t, upstream.Host)
	writes := 0
	proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
		ours := strings.HasSuffix(r.URL.Path, "/manifests/"+tag.TagStr())
		if ours && r.Method == http.MethodGet && writes == 1 { // the first read behind our write
			writes++
			if err := remote.Tag(tag, theirs); err != nil {
				t.Error(err)
			}
		}
		if ours && r.Method == http.MethodPut {
			writes++
		}
		return registrytest.Fault{}
	}, nil)
	second := attach(t, open(t, proxy.Host+"/overwritten"), subject, artifact(2), true)
	want := []string{first.String(), second.String()}
	slices.Sort(want)
	found := listed(t, open(t, repository), subject)
	if len(found) != 2 || found[0].Digest != want[0] || found[1].Digest != want[1] || writes != 3 {
		t.Errorf("want %v, got %+v after %d writes", want, found, writes)
	}
}

// TestAgain: what breaks off at any of its writes is whole when it is done again.
func TestAgain(t *testing.T) {
	t.Parallel()
	for kind, server := range kinds(t) {
		upstream := server.Host
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for at := 0; ; at++ {
				proxy, repo := registrytest.Proxy(t, upstream), fmt.Sprintf("/again-%d", at)
				subject := push(t, upstream+repo, types.OCIManifestSchema1)
				seen := 0
				proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
					if r.Method != http.MethodGet && r.Method != http.MethodHead {
						seen++
					}
					return registrytest.Fault{Status: map[bool]int{true: http.StatusForbidden}[seen > at]}
				}, nil)
				_, _, err := open(t, proxy.Host+repo).Attach(t.Context(), subject, artifact(at))
				if err == nil {
					if at < 3 {
						t.Errorf("there were %d writes only", at)
					}
					return
				}
				if found := listed(t, open(t, upstream+repo), subject); len(found) > 0 && kind == "tag" {
					t.Errorf("write %d failed, and it is listed: %v", at, found)
				}
				attach(t, open(t, upstream+repo), subject, artifact(at), true)
				if found := listed(t, open(t, upstream+repo), subject); len(found) != 1 {
					t.Errorf("done again after write %d: %v", at, found)
				}
			}
		})
	}
}

// TestForeignKeys: what others wrote into a list stays there.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	server := registrytest.Serve(t, withAPI(false))
	repository := server.Host + "/foreign"
	subject := push(t, repository, types.OCIManifestSchema1)
	tag, _ := name.NewTag(repository + ":" + referrer.Tag(subject.Digest))
	other := fmt.Sprintf(`{"mediaType": "application/vnd.example.old+json", "digest": "sha256:%064d", "size": 7, "x-theirs": {"a": [1]}}`, 5)
	list := `{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "annotations": {"who": "they"}, "x-top": 3, "manifests": [` + other + `]}`
	if err := remote.Put(tag, index(list)); err != nil {
		t.Fatal(err)
	}
	attach(t, open(t, repository), subject, artifact(1), true)
	got, err := remote.Get(tag)
	if err != nil {
		t.Fatal(err)
	}
	var now struct {
		Annotations map[string]string `json:"annotations"`
		Top         int               `json:"x-top"`
		Manifests   []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(got.Manifest, &now); err != nil || now.Annotations["who"] != "they" || now.Top != 3 || len(now.Manifests) != 2 || !strings.Contains(string(now.Manifests[1]), `"x-theirs":{"a":[1]}`) {
		t.Errorf("%v: %s", err, got.Manifest)
	}
}

type index string

func (i index) RawManifest() ([]byte, error)      { return []byte(i), nil }
func (index) MediaType() (types.MediaType, error) { return types.OCIImageIndex, nil }

// TestNotList: GitLab takes the tag of a list for the digest that is in it, and gives the image.
func TestNotList(t *testing.T) {
	t.Parallel()
	for _, mediaType := range []types.MediaType{types.OCIManifestSchema1, types.OCIImageIndex, types.DockerManifestList} {
		inner := withAPI(false)
		server := registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, "/manifests/sha256-", "/manifests/sha256:", 1)
			inner.ServeHTTP(w, r)
		}))
		repository := server.Host + "/gitlab"
		subject := push(t, repository, mediaType)
		server.Forget()
		r := open(t, repository)
		found, err := r.List(t.Context(), subject.Digest)
		if wrong := (*referrer.NotListError)(nil); !errors.As(err, &wrong) || wrong.Is != "the image itself" {
			t.Errorf("%s: List = %v, %v, want that it is no list", mediaType, found, err)
		}
		_, _, err = r.Attach(t.Context(), subject, artifact(1))
		if wrong := (*referrer.RefusedError)(nil); !errors.As(err, &wrong) {
			t.Errorf("%s: Attach: %v, want that the registry refuses it", mediaType, err)
		}
		if i := slices.IndexFunc(server.Requests(), func(r registrytest.Request) bool { return r.Method != http.MethodGet }); i >= 0 {
			t.Errorf("%s: sent something", mediaType)
		}
	}
}

// TestRefused: which answers to a manifest mean that the registry takes none of that kind.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault registrytest.Fault
		want  bool
	}{
		"invalid":          {registrytest.Fault{Status: 400, Body: `{"errors": [{"code": "MANIFEST_INVALID", "message": "unknown media type: application/vnd.oci.empty.v1+json"}]}`}, true},
		"subject":          {registrytest.Fault{Status: 422, Body: `{"errors": [{"code": "MANIFEST_INVALID", "message": "subject is not allowed"}]}`}, true},
		"immutable tags":   {registrytest.Fault{Status: 412, Body: `{"errors": [{"code": "PRECONDITION", "message": "configured as immutable"}]}`}, true},
		"415":              {registrytest.Fault{Status: 415}, true},
		"code alone":       {registrytest.Fault{Status: 403, Body: `{"errors": [{"code": "UNSUPPORTED", "message": "artifacts are off"}]}`}, true},
		"denied":           {registrytest.Fault{Status: 403, Body: `{"errors": [{"code": "DENIED", "message": "no"}]}`}, false},
		"lost what it had": {registrytest.Fault{Status: 400, Body: `{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]}`}, false},
		"full":             {registrytest.Fault{Status: 507}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := registrytest.Serve(t, withAPI(true))
			subject := push(t, server.Host+"/repo", types.OCIManifestSchema1)
			server.Arm(func(_ int, r *http.Request) registrytest.Fault {
				if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
					return test.fault
				}
				return registrytest.Fault{}
			}, nil)
			_, _, err := open(t, server.Host+"/repo").Attach(t.Context(), subject, artifact(1))
			if got := errors.As(err, new(*referrer.RefusedError)); err == nil || got != test.want {
				t.Errorf("Attach: %v; refused %v, want %v", err, got, test.want)
			}
		})
	}
}

// TestFaults: what goes wrong in a third of all requests changes nothing of what comes out.
func TestFaults(t *testing.T) {
	t.Parallel()
	for kind, server := range kinds(t) {
		for i, fault := range append(registrytest.Kinds(), registrytest.Kind{}) {
			some := []registrytest.Kind{fault}
			if fault.Name == "" {
				some = registrytest.Kinds()
			}
			part := 0.3
			if fault.Fault.Header != nil { // these ask to wait for a second each
				part = 0.05
			}
			upstream := server.Host
			t.Run(kind+" "+fault.Name, func(t *testing.T) {
				t.Parallel()
				repository := fmt.Sprintf("/faults-%d", i)
				proxy := registrytest.Proxy(t, upstream)
				subject := push(t, proxy.Host+repository, types.OCIImageIndex)
				proxy.Arm(registrytest.Random(uint64(i), part, some), nil)
				r := open(t, proxy.Host+repository)
				for n := range 3 {
					attach(t, r, subject, artifact(n), true)
				}
				found := listed(t, r, subject)
				for _, f := range found {
					if _, err := r.Read(t.Context(), f); err != nil {
						t.Error(err)
					}
				}
				if len(found) != 3 {
					t.Errorf("3 were attached, and %d are listed", len(found))
				}
			})
		}
	}
}
