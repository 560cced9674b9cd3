// SPDX-License-Identifier: Apache-2.0

package transfer_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"path"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/transfer"
)

// withAPI and withoutAPI are registries in memory that have the referrers API, or not.
func withAPI() http.Handler    { return inMemory(true) }
func withoutAPI() http.Handler { return inMemory(false) }

func inMemory(api bool) http.Handler {
	return memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(api)) //nolint:forbidigo // the kind of logger that this registry knows
}

func repository(t *testing.T, text string) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(text)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func open(t *testing.T, text string) *referrer.Repository {
	t.Helper()
	client, err := registry.New(t.Context(), repository(t, text), registry.Options{Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r, err := referrer.Open(repository(t, text), client)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func descriptor(t *testing.T, what interface {
	Digest() (v1.Hash, error)
	Size() (int64, error)
	MediaType() (types.MediaType, error)
},
) v1.Descriptor {
	t.Helper()
	digest, err1 := what.Digest()
	size, err2 := what.Size()
	mediaType, err3 := what.MediaType()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return v1.Descriptor{Digest: digest, Size: size, MediaType: mediaType}
}

// attach attaches a document that has a number in it.
func attach(t *testing.T, r *referrer.Repository, subject v1.Descriptor, n int) v1.Descriptor {
	t.Helper()
	a := referrer.Artifact{
		Type: fmt.Sprintf("application/kind-%d", n), MediaType: "application/json", Data: fmt.Appendf(nil, `{"n": %d}`, n),
		Annotations: map[string]string{"org.example.n": fmt.Sprint(n)},
	}
	if _, _, err := r.Attach(t.Context(), subject, a); err != nil {
		t.Fatal(err)
	}
	_, d := a.Manifest(subject)
	return d
}

// family pushes an index of two images under the tag one; documents are attached to all three,
// and a signature to one of those. It returns the index and all to which something is attached.
func family(t *testing.T, text string) (v1.Descriptor, []v1.Hash) {
	t.Helper()
	index, err := random.Index(50_000, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(repository(t, text).Tag("one"), index); err != nil {
		t.Fatal(err)
	}
	r, root := open(t, text), descriptor(t, index)
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	all := []v1.Hash{root.Digest}
	for i, platform := range m.Manifests {
		attach(t, r, platform, 10+i)
		attach(t, r, platform, 20+i)
		all = append(all, platform.Digest)
	}
	document := attach(t, r, root, 1)
	attach(t, r, document, 2)
	return root, append(all, document.Digest)
}

// evidence is what a repository lists as attached to some.
func evidence(t *testing.T, text string, subjects []v1.Hash) (all []referrer.Found) {
	t.Helper()
	r := open(t, text)
	for _, s := range subjects {
		found, err := r.List(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// me logs in everywhere that wants it.
type me struct{}

func (me) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: registrytest.User, Password: registrytest.Password}, nil
}

func copier(t *testing.T, from, to, tag string) *transfer.Copier {
	t.Helper()
	ref, err := name.ParseReference(from)
	if err != nil {
		t.Fatal(err)
	}
	c, err := transfer.New(t.Context(), transfer.Options{From: ref, To: repository(t, to), Tag: tag, Registry: registry.Options{Keychain: me{}, Pause: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustRun(t *testing.T, c *transfer.Copier) *transfer.Plan {
	t.Helper()
	result, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result.Plan
}

// writes are the requests of a server that change something.
func writes(s *registrytest.Server) (all []string) {
	for _, r := range s.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			all = append(all, r.Method+" "+r.Path+"?"+r.Query)
		}
	}
	return all
}

// TestCopy copies between registries that have the referrers API and those that have not, in all directions:
// crane loses what is attached, and we do not; a second time nothing is sent.
func TestCopy(t *testing.T) {
	t.Parallel()
	hosts := map[string]func() string{
		"API": func() string { return registrytest.Serve(t, withAPI()).Host },
		"tag": func() string { return registrytest.Start(t, nil).Host },
	}
	for kind, start := range hosts {
		for other, startOther := range hosts {
			t.Run(kind+" to "+other, func(t *testing.T) {
				t.Parallel()
				from, to := start()+"/source/cuda", registrytest.Proxy(t, startOther())
				root, subjects := family(t, from)
				want := evidence(t, from, subjects)
				if len(want) != 6 {
					t.Fatalf("%d are attached, want 6", len(want))
				}
				if err := crane.Copy(from+":one", to.Host+"/crane"); err != nil {
					t.Fatal(err)
				}
				if found := evidence(t, to.Host+"/crane", subjects); len(found) > 0 {
					t.Errorf("crane keeps what is attached now: %v", found)
				}
				plan := mustRun(t, copier(t, from+":one", to.Host+"/ours", "two"))
				if d := diff.Diff(want, evidence(t, to.Host+"/ours", subjects)); d != "" {
					t.Errorf("attached (-there +here):\n%s", d)
				}
				if digest, err := crane.Digest(to.Host + "/ours:two"); err != nil || digest != root.Digest.String() {
					t.Errorf("the tag names %s, %v, want %s", digest, err, root.Digest)
				}
				if got := plan.Totals; got.Manifests != 9 || got.Attached != 6 || got.New != 9 || len(plan.Left) > 0 {
					t.Errorf("%+v, left %v", got, plan.Left)
				}
				same(t, from, to.Host+"/ours", plan)
				to.Forget()
				again := mustRun(t, copier(t, from+":one", to.Host+"/ours", "two"))
				if sent := writes(to); len(sent) > 0 || again.Totals.New > 0 || again.Totals.UploadBytes > 0 || again.Tag.State != transfer.StateThere {
					t.Errorf("a second time: %+v, %v", again.Totals, sent)
				}
			})
		}
	}
}

// same compares all manifests of a plan, and the blobs.
func same(t *testing.T, from, to string, plan *transfer.Plan) {
	t.Helper()
	for _, m := range plan.Manifests {
		there, err1 := crane.Manifest(from + "@" + m.Digest)
		here, err2 := crane.Manifest(to + "@" + m.Digest)
		if err := errors.Join(err1, err2); err != nil || string(there) != string(here) {
			t.Errorf("%s: %v\n%s\n%s", m.Digest, err, there, here)
		}
	}
	for _, b := range plan.Blobs {
		layer, err := remote.Layer(repository(t, to).Digest(b.Digest))
		if err != nil {
			t.Fatal(err)
		}
		blob, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, blob); err != nil || n != b.Size { // its digest is checked
			t.Errorf("%s: %d bytes, %v", b.Digest, n, err)
		}
		_ = blob.Close()
	}
}

// TestMounts: within one registry no byte of a blob is sent.
func TestMounts(t *testing.T) {
	t.Parallel()
	proxy := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	_, subjects := family(t, proxy.Host+"/from")
	proxy.Forget()
	plan := mustRun(t, copier(t, proxy.Host+"/from:one", proxy.Host+"/into", "one"))
	if sent, _ := proxy.Blobs(); sent > 0 || plan.Totals.UploadBytes > 0 {
		t.Errorf("%d bytes of blobs sent, %d planned", sent, plan.Totals.UploadBytes)
	}
	if d := diff.Diff(evidence(t, proxy.Host+"/from", subjects), evidence(t, proxy.Host+"/into", subjects)); d != "" {
		t.Error(d)
	}
}

// TestLogins: to a registry that wants a login, and from one repository to another there.
func TestLogins(t *testing.T) {
	t.Parallel()
	from := registrytest.Serve(t, withAPI()).Host + "/from"
	to := registrytest.Start(t, registrytest.NewTokens(t)).Host
	_, subjects := family(t, from)
	mustRun(t, copier(t, from+":one", to+"/into", "one"))
	plan := mustRun(t, copier(t, to+"/into:one", to+"/mounted", "one"))
	if plan.Totals.UploadBytes > 0 {
		t.Errorf("%d bytes sent", plan.Totals.UploadBytes)
	}
	if d := diff.Diff(evidence(t, from, subjects), evidence(t, to+"/mounted", subjects)); d != "" {
		t.Error(d)
	}
}

// TestAgain: a copy that breaks off at any of its writes goes on when it is repeated; its tag does
// not move before all is there, and no blob is sent twice that was taken.
func TestAgain(t *testing.T) {
	t.Parallel()
	from := registrytest.Serve(t, withAPI()).Host + "/from"
	root, subjects := family(t, from)
	want := evidence(t, from, subjects)
	upstream := registrytest.Start(t, nil).Host
	for at := 0; ; at += 7 {
		proxy, to := registrytest.Proxy(t, upstream), fmt.Sprintf("/again-%d", at)
		var seen atomic.Int64
		proxy.Arm(func(_ int, r *http.Request) registrytest.Fault {
			if r.Method != http.MethodGet && r.Method != http.MethodHead && seen.Add(1) > int64(at) {
				return registrytest.Fault{Status: http.StatusForbidden} // final
			}
			return registrytest.Fault{}
		}, nil)
		_, err := copier(t, from+":one", proxy.Host+to, "one").Run(t.Context())
		if err == nil {
			if at == 0 {
				t.Fatal("nothing went wrong")
			}
			return
		}
		if _, err := crane.Digest(upstream + to + ":one"); err == nil {
			t.Fatalf("the tag moved before write %d", at)
		}
		proxy.Arm(nil, nil)
		mustRun(t, copier(t, from+":one", proxy.Host+to, "one"))
		committed := map[string]int{}
		for _, r := range proxy.Requests() {
			query, _ := url.ParseQuery(r.Query)
			if what := cmp.Or(query.Get("digest"), path.Base(r.Path)); r.Method == http.MethodPut && r.Status == http.StatusCreated && (query.Has("digest") || what == "one") {
				committed[what]++
			}
		}
		if committed["one"] != 1 {
			t.Errorf("write %d: the tag was sent %d times: %v", at, committed["one"], committed)
		}
		for what, n := range committed {
			if n > 1 {
				t.Errorf("write %d: %s was sent %d times", at, what, n)
			}
		}
		digest, err := crane.Digest(upstream + to + ":one")
		if d := diff.Diff(want, evidence(t, upstream+to, subjects)); err != nil || d != "" || digest != root.Digest.String() {
			t.Errorf("write %d: %s, %v\n%s", at, digest, err, d)
		}
	}
}

// TestFaults: what goes wrong on both sides changes nothing of what comes out.
func TestFaults(t *testing.T) {
	t.Parallel()
	from, to := registrytest.Proxy(t, registrytest.Start(t, nil).Host), registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	root, subjects := family(t, from.Host+"/from")
	want := evidence(t, from.Host+"/from", subjects)
	kinds := slices.DeleteFunc(registrytest.Kinds(), func(k registrytest.Kind) bool { return k.Fault.Header != nil }) // these take a second each
	for seed := range uint64(3) {
		from.Arm(registrytest.Random(seed, 0.2, kinds), nil)
		to.Arm(registrytest.Random(seed+100, 0.2, kinds), nil)
		here := fmt.Sprintf("%s/into-%d", to.Host, seed)
		mustRun(t, copier(t, from.Host+"/from:one", here, "one"))
		to.Arm(nil, nil)
		digest, err := crane.Digest(here + ":one")
		if d := diff.Diff(want, evidence(t, here, subjects)); err != nil || d != "" || digest != root.Digest.String() {
			t.Errorf("seed %d: %s, %v\n%s", seed, digest, err, d)
		}
	}
}

// TestDigest: an image that is copied by digest gets no tag, and one platform of an index comes alone.
func TestDigest(t *testing.T) {
	t.Parallel()
	host := registrytest.Serve(t, withAPI()).Host
	_, subjects := family(t, host+"/from")
	plan := mustRun(t, copier(t, host+"/from@"+subjects[1].String(), host+"/into", ""))
	tags, err := crane.ListTags(host + "/into")
	if plan.Tag != nil || err != nil || len(tags) > 0 || plan.Totals.Manifests != 3 || len(evidence(t, host+"/into", subjects[1:2])) != 2 {
		t.Errorf("%+v, tags %v, %v", plan, tags, err)
	}
}
