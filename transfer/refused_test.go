// SPDX-License-Identifier: Apache-2.0

package transfer_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

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
	noSubject := registrytest.Serve(t, withoutAPI())
	var first atomic.Bool
	noSubject.Arm(nil, func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && !first.CompareAndSwap(false, true) {
			return registrytest.Fault{Status: http.StatusBadRequest, Body: `{"errors": [{"code": "MANIFEST_INVALID", "message": "subject"}]}`}
		}
		return registrytest.Fault{}
	})
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

// TestHostile: what cannot be copied ends before anything is sent, and says where.
func TestHostile(t *testing.T) {
	t.Parallel()
	host := registrytest.Serve(t, withoutAPI()).Host
	to := registrytest.Serve(t, withoutAPI())
	root, subjects := family(t, host+"/deep")
	deepest := root
	for n := range 10 {
		deepest = attach(t, open(t, host+"/deep"), deepest, 100+n)
	}
	put(t, host+"/unknown", "one", raw{`{"schemaVersion": 2}`, "application/vnd.example+json"})
	put(t, host+"/schema1", "one", raw{`{"schemaVersion": 1, "fsLayers": []}`, types.DockerManifestSchema1Signed})
	put(t, host+"/layers", "one", raw{`{"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 3, "digest": "` + subjects[1].String() + `"}]}`, types.OCIImageIndex})
	put(t, host+"/twice", "one", raw{`{"schemaVersion": 2, "layers": [], "layers": [], "config": {}}`, types.OCIManifestSchema1})
	put(t, host+"/nothing", "one", raw{`{"schemaVersion": 2, "layers": [], "config": {}}`, types.OCIManifestSchema1})
	for repo, want := range map[string]string{
		"deep": "manifests inside each other, more than 8 deep", "unknown": "neither an image nor an index", "schema1": "neither an image nor an index", "layers": "names " + subjects[1].String() + ", and the repository does not have it",
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
