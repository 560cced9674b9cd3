// SPDX-License-Identifier: Apache-2.0

package transfer_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/referrer"
)

type raw struct {
	text      string
	mediaType types.MediaType
}

func (r raw) RawManifest() ([]byte, error)        { return []byte(r.text), nil }
func (r raw) MediaType() (types.MediaType, error) { return r.mediaType, nil }

func put(t *testing.T, text, tag string, r raw) {
	t.Helper()
	if err := remote.Put(repository(t, text).Tag(tag), r); err != nil {
		t.Fatal(err)
	}
}

// gitlab takes the tag of a list for the digest that is in it, and gives the image.
func gitlab(t *testing.T) *registrytest.Server {
	t.Helper()
	inner := withoutAPI()
	return registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.Replace(r.URL.Path, "/manifests/sha256-", "/manifests/sha256:", 1)
		inner.ServeHTTP(w, r)
	}))
}

// TestRefused: where what is attached cannot go no tag moves, and the error says what can be done.
func TestRefused(t *testing.T) {
	t.Parallel()
	host := registrytest.Serve(t, withAPI()).Host
	root, _ := family(t, host+"/from")
	inner := withoutAPI()
	noSubject := registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPut && bytes.Contains(body, []byte(`"subject"`)) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"errors": [{"code": "MANIFEST_INVALID", "message": "subject"}]}`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		inner.ServeHTTP(w, r)
	}))
	there := gitlab(t)
	if err := crane.Copy(host+"/from:one", there.Host+"/into:before"); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]*registrytest.Server{"no list": there, "no subject": noSubject} {
		to.Forget()
		_, err := copier(t, host+"/from:one", to.Host+"/into", "one").Run(t.Context())
		if err == nil || hint.Code(err, 3) != 1 || !strings.Contains(hint.Of(err), "no tag has moved; 'skopeo copy --all'") || !strings.Contains(err.Error(), "/into cannot take what is attached to "+root.Digest.String()) {
			t.Errorf("%s: %v (%s)", name, err, hint.Of(err))
		}
		if slices.ContainsFunc(writes(to), func(w string) bool { return strings.Contains(w, "/manifests/one") }) {
			t.Errorf("%s: the tag was sent", name)
		}
	}
	if sent := writes(there); len(sent) > 0 {
		t.Errorf("no list: sent %v", sent)
	}
}

// TestFromGitLab: where nothing can be attached nothing is lost.
func TestFromGitLab(t *testing.T) {
	t.Parallel()
	from, to := gitlab(t).Host+"/from", registrytest.Serve(t, withAPI()).Host+"/into"
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(repository(t, from).Tag("one"), img); err != nil {
		t.Fatal(err)
	}
	plan := mustRun(t, copier(t, from+":one", to, "one"))
	if len(plan.Left) != 1 || !strings.Contains(plan.Left[0], "gives the image itself for tag sha256-") {
		t.Errorf("left %q", plan.Left)
	}
}

// TestLeft: what is listed and is gone, or is attached to something else, does not come along.
func TestLeft(t *testing.T) {
	t.Parallel()
	host := registrytest.Serve(t, withoutAPI()).Host
	root, subjects := family(t, host+"/from")
	gone := fmt.Sprintf("sha256:%064d", 7)
	other := attach(t, open(t, host+"/from"), v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: 1, Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}}, 50)
	list := func(mediaType types.MediaType, digest string, size int64) raw {
		entry := fmt.Sprintf(`{"mediaType": %q, "digest": %q, "size": %d}`, mediaType, digest, size)
		return raw{`{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [` + entry + "]}", types.OCIImageIndex}
	}
	put(t, host+"/from", referrer.Tag(root.Digest), list(types.OCIManifestSchema1, other.Digest.String(), other.Size))
	put(t, host+"/from", referrer.Tag(subjects[2]), list("application/vnd.example", gone, 7)) // of other types this registry wants to have all
	plan := mustRun(t, copier(t, host+"/from:one", host+"/into", "one"))
	want := []string{
		gone + " is listed as attached to " + subjects[2].String() + ", and the repository does not have it",
		other.Digest.String() + " is listed as attached to " + root.Digest.String() + ", and is not",
	}
	if !slices.Equal(plan.Left, want) {
		t.Errorf("left %q, want %q", plan.Left, want)
	}
}

// TestBadLists: what others write into a list keeps nothing from being copied that can be found, and is named.
func TestBadLists(t *testing.T) {
	t.Parallel()
	host := registrytest.Serve(t, withoutAPI()).Host
	root, subjects := family(t, host+"/from")
	ours := attach(t, open(t, host+"/from"), root, 60)
	list := func(entries string) raw {
		return raw{`{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": ` + entries + "}", types.OCIImageIndex}
	}
	put(t, host+"/from", referrer.Tag(root.Digest), list(fmt.Sprintf(`[{"size": 1}, {"mediaType": "text/plain", "digest": %q, "size": 3}]`, ours.Digest)))
	put(t, host+"/from", referrer.Tag(subjects[2]), raw{`{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}`, types.OCIImageIndex})
	plan := mustRun(t, copier(t, host+"/from:one", host+"/into", "one"))
	want := []string{"no list of what is attached", "the list of what is attached to " + root.Digest.String() + ": 1 of its entries have no digest"}
	if len(plan.Left) != 2 || !strings.Contains(plan.Left[0], want[0]) || !strings.Contains(plan.Left[1], want[1]) {
		t.Errorf("left %q, want %q", plan.Left, want)
	}
	if found, err := open(t, host+"/into").List(t.Context(), root.Digest); err != nil || len(found) != 1 || found[0].Wrong != "" {
		t.Errorf("listed there: %+v, %v", found, err)
	}
}

// TestHostile: what cannot be copied ends before anything is sent, and says where.
func TestHostile(t *testing.T) {
	t.Parallel()
	host := registrytest.Serve(t, withoutAPI()).Host
	to := registrytest.Serve(t, withoutAPI())
	_, subjects := family(t, host+"/deep")
	put(t, host+"/unknown", "one", raw{`{"schemaVersion": 2}`, "application/vnd.example+json"})
	put(t, host+"/schema1", "one", raw{`{"schemaVersion": 1, "fsLayers": []}`, types.DockerManifestSchema1Signed})
	put(t, host+"/layers", "one", raw{`{"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 3, "digest": "` + subjects[1].String() + `"}]}`, types.OCIImageIndex})
	put(t, host+"/twice", "one", raw{`{"schemaVersion": 2, "layers": [], "layers": [], "config": {}}`, types.OCIManifestSchema1})
	put(t, host+"/nothing", "one", raw{`{"schemaVersion": 2, "layers": [], "config": {}}`, types.OCIManifestSchema1})
	for repo, want := range map[string]string{
		"unknown": "neither an image nor an index", "schema1": "neither an image nor an index", "layers": "names " + subjects[1].String() + ", and the repository does not have it",
		"twice": `has the key "layers" twice`, "nothing": "a layer or configuration without digest or size", "absent": "NAME_UNKNOWN",
	} {
		_, err := copier(t, host+"/"+repo+":one", to.Host+"/to", "one").Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "/"+repo) {
			t.Errorf("%s: %v, want %q", repo, err, want)
		}
	}
	if sent := writes(to); len(sent) > 0 {
		t.Errorf("sent %v", sent)
	}
}

// TestBadAttachments: what is attached to an image, and cannot be copied, does not keep the image from being copied, nor
// what else is attached to it.
func TestBadAttachments(t *testing.T) {
	t.Parallel()
	host := registrytest.Serve(t, withoutAPI()).Host
	from, to := host+"/from", registrytest.Serve(t, withAPI())
	root, subjects := family(t, from)
	want := evidence(t, from, subjects)
	r := open(t, from)
	gone := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}
	about := fmt.Sprintf(`"subject": {"mediaType": %q, "digest": %q, "size": %d}`, root.MediaType, root.Digest, root.Size)
	empty := `"config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "size": 2}`
	reasons := map[string]string{} // by digest
	list := func(text string, mediaType types.MediaType, why string) v1.Descriptor {
		digest, size, _ := v1.SHA256(strings.NewReader(text))
		d := v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}
		if err := r.AddAll(t.Context(), root.Digest, []referrer.Raw{{Descriptor: d, Bytes: []byte(text)}}); err != nil {
			t.Fatal(err)
		}
		reasons[digest.String()] = why
		return d
	}
	list(`{"schemaVersion": 2, "layers": [], `+about+`}`, "application/vnd.example+json", "neither an image nor an index")
	list(`{"schemaVersion": 2, "layers": [], "layers": [], `+empty+`, `+about+`}`, types.OCIManifestSchema1, `has the key "layers" twice`)
	list(`{"schemaVersion": 2, `+empty+`, "layers": [{"mediaType": "a", "digest": "`+gone.String()+`", "size": 7}], `+about+`}`, types.OCIManifestSchema1, "blob "+gone.String()+", and the repository does not have it")
	list(`{"schemaVersion": 2, `+strings.Replace(empty, `"size": 2`, `"size": 3`, 1)+`, "layers": [], `+about+`}`, types.OCIManifestSchema1, "has another size")
	child := list(`{"schemaVersion": 2, `+empty+`, "layers": [], "annotations": {"a": "b"}}`, types.OCIManifestSchema1, "and is not")
	lost, size, _ := v1.SHA256(strings.NewReader(`{"schemaVersion": 2, ` + empty + `, "layers": []}`))
	put(t, from, "lost", raw{`{"schemaVersion": 2, ` + empty + `, "layers": []}`, types.OCIManifestSchema1})
	list(`{"schemaVersion": 2, "manifests": [
		{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "`+child.Digest.String()+`", "size": 1},
		{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "`+lost.String()+`", "size": `+fmt.Sprint(size)+`}], `+about+`}`,
		types.OCIImageIndex, "names "+lost.String()+", and the repository does not have it")
	if err := remote.Delete(repository(t, from).Digest(lost.String())); err != nil {
		t.Fatal(err)
	}
	plan := mustRun(t, copier(t, from+":one", to.Host+"/into", "one"))
	for _, left := range plan.Left {
		digest, _, _ := strings.Cut(left, " is listed as attached to "+root.Digest.String()+", and ")
		if why, known := reasons[digest]; !known || !strings.Contains(left, why) {
			t.Errorf("left %q, want %q", left, why)
		}
	}
	if len(plan.Left) != len(reasons) {
		t.Errorf("left %d, want %d: %q", len(plan.Left), len(reasons), plan.Left)
	}
	if d := diff.Diff(want, evidence(t, to.Host+"/into", subjects)); d != "" {
		t.Error(d)
	}
	if _, err := open(t, to.Host+"/into").Read(t.Context(), referrer.Found{Digest: child.Digest.String(), MediaType: string(child.MediaType), Size: child.Size}); err == nil {
		t.Error("what an index names that is left was copied")
	}
	to.Forget()
	if plan := mustRun(t, copier(t, from+":one", to.Host+"/into", "one")); plan.Totals.New > 0 || len(writes(to)) > 0 {
		t.Errorf("once more: %+v, sent %v", plan.Totals, writes(to))
	}
}

// TestTooDeep: what is attached to what is attached, and so on, is copied down to some depth.
func TestTooDeep(t *testing.T) {
	t.Parallel()
	from, to := registrytest.Serve(t, withAPI()).Host+"/from", registrytest.Serve(t, withAPI()).Host+"/into"
	deepest, _ := family(t, from)
	for n := range 10 {
		deepest = attach(t, open(t, from), deepest, 100+n)
	}
	plan := mustRun(t, copier(t, from+":one", to, "one"))
	if len(plan.Left) != 1 || !strings.Contains(plan.Left[0], "more than 8 deep") || plan.Totals.Manifests != 9+8 {
		t.Errorf("%+v, left %q", plan.Totals, plan.Left)
	}
}

// TestBounded: no more is read under a tag than the largest manifest that registries take.
func TestBounded(t *testing.T) {
	t.Parallel()
	var gave atomic.Int64
	from := registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		_, _ = io.WriteString(w, `{"schemaVersion": 2, "manifests": [{}`)
		for range 64 {
			n, err := io.WriteString(w, strings.Repeat(",{}", 1<<20/3))
			if gave.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	_, err := copier(t, from.Host+"/from:one", registrytest.Serve(t, withAPI()).Host+"/into", "one").Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "more than 4194304 bytes") || gave.Load() > 16<<20 {
		t.Errorf("%v, after %d bytes", err, gave.Load())
	}
}

// TestTakenTag: somebody else moves the tag while we copy.
func TestTakenTag(t *testing.T) {
	t.Parallel()
	host, to := registrytest.Serve(t, withAPI()).Host, registrytest.Serve(t, withAPI())
	family(t, host+"/from")
	put(t, to.Host+"/into", "one", raw{`{"schemaVersion": 2, "a": 1}`, types.OCIManifestSchema1})
	var taken atomic.Bool
	to.Arm(func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodPatch && taken.CompareAndSwap(false, true) {
			put(t, to.Host+"/into", "one", raw{`{"schemaVersion": 2, "a": 2}`, types.OCIManifestSchema1})
		}
		return registrytest.Fault{}
	}, nil)
	_, err := copier(t, host+"/from:one", to.Host+"/into", "one").Run(t.Context())
	if err == nil || hint.Code(err, 3) != 1 || !strings.HasPrefix(err.Error(), "tag one named sha256:") {
		t.Errorf("Run: %v", err)
	}
}
