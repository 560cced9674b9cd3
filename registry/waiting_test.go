// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/registry"
)

// inMemory is a registry without logins.
func inMemory() http.Handler {
	return memory.New(memory.Logger(log.New(io.Discard, "", 0))) //nolint:forbidigo // the kind of logger that this registry knows
}

// imageOf returns an image of small layers.
func imageOf(t *testing.T, layers int) v1.Image {
	t.Helper()
	img := empty.Image
	for i := range layers {
		layer := static.NewLayer([]byte(strings.Repeat(fmt.Sprintf("layer %d of %d\n", i, layers), 100)), types.DockerUncompressedLayer)
		var err error
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

// said collects what a client says.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func clientFor(t *testing.T, repo name.Repository, opts registry.Options) *registry.Client {
	t.Helper()
	if opts.Keychain == nil {
		opts.Keychain = keychain(nobody)
	}
	if opts.Pause == 0 {
		opts.Pause = time.Millisecond
	}
	opts.Transport = remote.DefaultTransport.(*http.Transport).Clone() // nobody else's connections
	client, err := registry.New(t.Context(), repo, opts)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// push pushes by digest, as a publisher does before anything has a tag.
func push(t *testing.T, host string, img v1.Image, opts registry.Options) error {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewDigest(host + "/team/app@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	return remote.Write(ref, img, clientFor(t, ref.Context(), opts).Remote()...)
}

// pull reads an image back without faults.
func pull(t *testing.T, host string, img v1.Image, login authn.AuthConfig) error {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewDigest(host + "/team/app@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Image(ref, clientFor(t, ref.Context(), registry.Options{Keychain: keychain(login)}).Remote()...)
	if err != nil {
		return err
	}
	return validate.Image(got, validate.Fast)
}

// once is a hook for one request.
func once(at int, f registrytest.Fault) registrytest.Hook {
	return func(n int, _ *http.Request) registrytest.Fault {
		if n == at {
			return f
		}
		return registrytest.Fault{}
	}
}

// TestEveryFault: each kind, at each request of a push, alone.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	img := imageOf(t, 2)
	undisturbed := registrytest.Serve(t, inMemory())
	if err := push(t, undisturbed.Host, img, registry.Options{}); err != nil {
		t.Fatal(err)
	}
	requests := len(undisturbed.Requests())
	if requests < 15 {
		t.Fatalf("%d requests of a push, want a ping, four for each blob and two for the manifest", requests)
	}
	for _, kind := range registrytest.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			step := 1
			if kind.Fault.Header.Get("Retry-After") != "" {
				step = 3 // each takes a second
			}
			for n := 0; n < requests; n += step {
				server := registrytest.Serve(t, inMemory())
				server.Arm(once(n, kind.Fault), nil)
				if err := push(t, server.Host, img, registry.Options{}); err != nil {
					t.Errorf("at request %d: %v", n, err)
				}
				server.Arm(nil, nil)
				if err := pull(t, server.Host, img, nobody); err != nil {
					t.Errorf("at request %d, afterwards: %v", n, err)
				}
			}
		})
	}
}

// TestManyFaults: a third of all requests goes wrong, in all ways, of the token server too.
func TestManyFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			tokens := registrytest.NewTokens(t)
			server := registrytest.Proxy(t, registrytest.Start(t, tokens).Host)
			img := imageOf(t, 39)
			server.Arm(registrytest.Random(seed, 0.3, registrytest.Kinds()), nil)
			tokens.Arm(registrytest.Random(seed+100, 0.3, registrytest.Kinds()[:7]), nil)
			login := authn.AuthConfig{Username: registrytest.User, Password: registrytest.Password}
			if err := push(t, server.Host, img, registry.Options{Keychain: keychain(login)}); err != nil {
				t.Error(err)
			}
			server.Arm(nil, nil)
			tokens.Arm(nil, nil)
			if err := pull(t, server.Host, img, login); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			for _, r := range server.Requests() {
				if _, password, _ := (&http.Request{Header: r.Header}).BasicAuth(); password != "" {
					t.Errorf("%s %s came with the password", r.Method, r.Path)
				}
			}
		})
	}
}

// TestTokens: a token that ends between two requests, or before the bytes of a blob, is renewed.
func TestTokens(t *testing.T) {
	t.Parallel()
	for _, login := range []authn.AuthConfig{{Username: registrytest.User, Password: registrytest.Password}, {IdentityToken: registrytest.Refresh}} {
		tokens := registrytest.NewTokens(t)
		server := registrytest.Proxy(t, registrytest.Start(t, tokens).Host)
		img := imageOf(t, 3)
		var mu sync.Mutex
		seen, spoiled, bytes := map[string]bool{}, map[string]bool{}, 0
		server.Arm(func(_ int, r *http.Request) registrytest.Fault {
			mu.Lock()
			defer mu.Unlock()
			token := r.Header.Get("Authorization")
			seen[token] = true
			if r.Method == http.MethodPatch {
				bytes++
			}
			if r.Method == http.MethodPatch && bytes < 10 && bytes%3 == 2 { // all that there are
				maps.Copy(spoiled, seen)
			}
			return registrytest.Fault{Expire: spoiled[token]}
		}, nil)
		if err := push(t, server.Host, img, registry.Options{Keychain: keychain(login)}); err != nil {
			t.Errorf("%+v: %v", login, err)
		}
		if len(spoiled) < 2 || len(tokens.Requests()) < 3 {
			t.Errorf("%+v: %d tokens expired, %d requests for some", login, len(spoiled), len(tokens.Requests()))
		}
		server.Arm(nil, nil)
		if err := pull(t, server.Host, img, login); err != nil {
			t.Errorf("%+v: afterwards: %v", login, err)
		}
	}
}

// TestWrongPassword: the token server is asked once, and what it says is shown.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	tokens := registrytest.NewTokens(t)
	host := registrytest.Start(t, tokens).Host
	err := push(t, host, imageOf(t, 1), registry.Options{Keychain: keychain(authn.AuthConfig{Username: registrytest.User, Password: "wrong"})})
	if err == nil || !strings.Contains(err.Error(), "incorrect username or password") || len(tokens.Requests()) != 1 {
		t.Errorf("%v, %d requests for a token", err, len(tokens.Requests()))
	}
}

// TestPermanent: what will not change comes out at once, with what the registry said.
func TestPermanent(t *testing.T) {
	t.Parallel()
	says := func(code, text string) string {
		return fmt.Sprintf(`{"errors": [{"code": %q, "message": %q}]}`, code, text)
	}
	challenge := http.Header{"Www-Authenticate": {`Bearer realm="http://127.0.0.1:1/token"`}}
	for _, tc := range []struct {
		name, method string // of the requests that are refused
		fault        registrytest.Fault
		wrong        string
	}{
		{"denied", http.MethodPost, registrytest.Fault{Status: 403, Body: says("DENIED", "requested access is denied")}, "DENIED: requested access is denied"},
		{"quota as denial", http.MethodPatch, registrytest.Fault{Status: 403, Body: says("DENIED", "adding 12 MiB will exceed the quota")}, "exceed the quota"},
		{"quota as failure", http.MethodPut, registrytest.Fault{Status: 500, Body: says("UNKNOWN", "storage quota exceeded")}, "storage quota exceeded"},
		{"disk full", http.MethodPatch, registrytest.Fault{Status: 500, Body: "write: no space left on device"}, "no space left on device"},
		{"no such repository", http.MethodPost, registrytest.Fault{Status: 404, Body: says("NAME_UNKNOWN", "repository name not known to registry")}, "NAME_UNKNOWN"},
		{"no such repository, late", http.MethodPatch, registrytest.Fault{Status: 404, Body: says("NAME_UNKNOWN", "repository name not known to registry")}, "NAME_UNKNOWN"},
		{"too large", http.MethodPatch, registrytest.Fault{Status: 413, Body: "<html>413 Request Entity Too Large</html>"}, "413 Request Entity Too Large"},
		{"unsupported", http.MethodPost, registrytest.Fault{Status: 405, Body: says("UNSUPPORTED", "the registry is read-only")}, "read-only"},
		{"login", http.MethodPost, registrytest.Fault{Status: 401, Body: says("UNAUTHORIZED", "authentication required"), Header: challenge}, "authentication required"},
		{"manifest", http.MethodPut, registrytest.Fault{Status: 400, Body: says("MANIFEST_INVALID", "manifest invalid")}, "MANIFEST_INVALID"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := registrytest.Serve(t, inMemory())
			server.Arm(func(_ int, r *http.Request) registrytest.Fault {
				if r.Method == tc.method {
					return tc.fault
				}
				return registrytest.Fault{}
			}, nil)
			var said said
			err := push(t, server.Host, empty.Image, registry.Options{Say: said.say})
			if err == nil || !strings.Contains(err.Error(), tc.wrong) || registry.Again(err) {
				t.Errorf("%v, want one with %q that is final", err, tc.wrong)
			}
			refused := 0
			for _, r := range server.Requests() {
				if r.Status == tc.fault.Status && r.Method == tc.method {
					refused++
				}
			}
			if refused != 1 || len(said.lines) > 0 {
				t.Errorf("%d requests were refused, want 1; said: %q", refused, said.lines)
			}
		})
	}
}

// TestBusy: what may be otherwise later is told from what a login or another name changes,
// whichever request it was; GHCR says both with 403.
func TestBusy(t *testing.T) {
	t.Parallel()
	limit, denied := `{"errors": [{"code": "DENIED", "message": "You have exceeded a secondary rate limit."}]}`, `{"errors": [{"code": "DENIED"}]}`
	for _, tc := range []struct {
		name string
		registrytest.Fault
		busy bool
		hint string
	}{
		{"a rate limit", registrytest.Fault{Status: 403, Body: limit}, true, "try again later"},
		{"too many requests", registrytest.Fault{Status: 429}, true, "try again later"},
		{"down", registrytest.Fault{Status: 503}, true, "try again later"},
		{"gone away", registrytest.Fault{Reset: true}, true, "try again later"},
		{"denied", registrytest.Fault{Status: 403, Body: denied}, false, "docker login"},
		{"a quota", registrytest.Fault{Status: 403, Body: `{"errors": [{"code": "DENIED", "message": "this will exceed the quota"}]}`}, false, "make room"},
		{"a full disk", registrytest.Fault{Status: 500, Body: "write: no space left on device"}, false, "make room"},
		{"another token", registrytest.Fault{Status: 401}, false, "docker login"},
		{"a wrong name", registrytest.Fault{Status: 404}, false, ""},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodPut} {
			t.Run(tc.name+" "+method, func(t *testing.T) {
				t.Parallel()
				server := registrytest.Serve(t, inMemory())
				server.Arm(func(_ int, r *http.Request) registrytest.Fault {
					if r.Method == method && r.URL.Path != "/v2/" {
						return tc.Fault
					}
					return registrytest.Fault{}
				}, nil)
				try := func() error { return push(t, server.Host, empty.Image, registry.Options{}) }
				if method == http.MethodGet {
					try = func() error { return pull(t, server.Host, empty.Image, nobody) }
				}
				err := try()
				hint := registry.Hint(err)
				if err == nil || registry.Busy(err) != tc.busy || !strings.Contains(hint, tc.hint) || tc.hint == "" && hint != "" {
					t.Errorf("%v: busy %t, hint %q, want %t and %q", err, registry.Busy(err), hint, tc.busy, tc.hint)
				}
			})
		}
	}
}

// TestGivesUp: a registry that is down is asked a bounded number of times, and what it said is shown.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]registrytest.Fault{
		"is down":               {Status: 503, Body: "down for maintenance\n" + strings.Repeat("x", 100_000)},
		"takes no bytes":        {Reset: true},
		"says they are others":  {Status: 400, Body: `{"errors": [{"code": "DIGEST_INVALID"}]}`},
		"forgets the session":   {Status: 404, Body: `{"errors": [{"code": "BLOB_UPLOAD_UNKNOWN"}]}`},
		"is at another range":   {Status: 416},
		"cuts all that it says": {CutAnswer: true, Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := registrytest.Serve(t, inMemory())
			server.Arm(func(_ int, r *http.Request) registrytest.Fault {
				if name == "is down" || r.Method == http.MethodPatch {
					return fault
				}
				return registrytest.Fault{}
			}, nil)
			err := push(t, server.Host, empty.Image, registry.Options{})
			if err == nil || len(err.Error()) > 5000 || name == "is down" && !strings.Contains(err.Error(), "down for maintenance") {
				t.Errorf("error: %.6000v", err)
			}
			if n := len(server.Requests()); n > 60 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestRetryAfter: what a registry asks to wait is waited by all, and said once.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	server := registrytest.Serve(t, inMemory())
	var patches atomic.Int32
	server.Arm(func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodPatch && patches.Add(1) == 1 {
			return registrytest.Fault{Status: 429, Header: http.Header{"Retry-After": {time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat)}}}
		}
		return registrytest.Fault{}
	}, nil)
	var said said
	if err := push(t, server.Host, imageOf(t, 6), registry.Options{Say: said.say}); err != nil {
		t.Error(err)
	}
	if len(said.lines) != 1 || !strings.HasPrefix(said.lines[0], server.Host+" asks to wait ") || !strings.HasSuffix(said.lines[0], "s (429)") {
		t.Errorf("said %q, want one wait", said.lines)
	}
}

// TestTagOnce: nobody but the publisher sends a tag twice.
func TestTagOnce(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]registrytest.Fault{"dropped": {Drop: true}, "busy": {Status: 503}, "too much": {Status: 429}} {
		server := registrytest.Serve(t, inMemory())
		img := imageOf(t, 1)
		if err := push(t, server.Host, img, registry.Options{}); err != nil {
			t.Fatal(err)
		}
		server.Forget()
		server.Arm(func(_ int, r *http.Request) registrytest.Fault {
			if r.Method == http.MethodPut {
				return fault
			}
			return registrytest.Fault{}
		}, nil)
		tag, err := nameTag(server.Host + "/team/app:1")
		if err != nil {
			t.Fatal(err)
		}
		err = remote.Put(tag, img, clientFor(t, tag.Context(), registry.Options{}).Remote()...)
		if err == nil || !registry.Again(err) {
			t.Errorf("%s: %v, want an error after which another try makes sense", name, err)
		}
		puts := 0
		for _, r := range server.Requests() {
			if r.Method == http.MethodPut {
				puts++
			}
		}
		if puts != 1 {
			t.Errorf("%s: %d times, want 1", name, puts)
		}
	}
}

func nameTag(s string) (name.Tag, error) { return name.NewTag(s) }

// TestLocalTrouble: a blob that cannot be read here is not sent again.
func TestLocalTrouble(t *testing.T) {
	t.Parallel()
	for name, blob := range map[string]io.Reader{"unreadable": failing{}, "short": strings.NewReader("sh")} {
		server := registrytest.Serve(t, inMemory())
		repo, err := nameRepository(server.Host + "/team/app")
		if err != nil {
			t.Fatal(err)
		}
		layer := unreadable{static.NewLayer([]byte("short no more"), types.OCILayer), blob}
		err = remote.WriteLayer(repo, layer, clientFor(t, repo, registry.Options{}).Remote()...)
		if err == nil || registry.Again(err) {
			t.Errorf("%s: %v, want an error that is final", name, err)
		}
		patches := 0
		for _, r := range server.Requests() {
			if r.Method == http.MethodPatch {
				patches++
			}
		}
		if patches > 1 {
			t.Errorf("%s: sent %d times", name, patches)
		}
	}
}

func nameRepository(s string) (name.Repository, error) { return name.NewRepository(s) }

var errDisk = errors.New("input/output error")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errDisk }

type unreadable struct {
	v1.Layer
	content io.Reader
}

func (u unreadable) Compressed() (io.ReadCloser, error) { return io.NopCloser(u.content), nil }

// TestStalledUpload: a registry that takes nothing more is given up, one that is slow is not.
func TestStalledUpload(t *testing.T) {
	t.Parallel()
	const size = 32 << 20 // more than the kernel keeps on the way
	layer := static.NewLayer(make([]byte, size), types.OCILayer)
	for name, take := range map[string]func(r *http.Request, over chan struct{}){
		"stalls": func(_ *http.Request, over chan struct{}) { <-over },
		"slow": func(r *http.Request, _ chan struct{}) {
			for portion := make([]byte, 2<<20); ; time.Sleep(100 * time.Millisecond) {
				if _, err := io.ReadFull(r.Body, portion); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner, over := inMemory(), make(chan struct{})
			server := registrytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.Method {
				case http.MethodPatch:
					take(r, over)
					w.Header().Set("Location", "/v2/team/app/blobs/uploads/1")
					w.WriteHeader(http.StatusAccepted)
				case http.MethodPut:
					w.WriteHeader(http.StatusCreated)
				default:
					inner.ServeHTTP(w, r)
				}
			}))
			t.Cleanup(func() { close(over) })
			repo, err := nameRepository(server.Host + "/team/app")
			if err != nil {
				t.Fatal(err)
			}
			err = remote.WriteLayer(repo, layer, clientFor(t, repo, registry.Options{Patience: time.Second}).Remote()...)
			if stalls := name == "stalls"; stalls != (err != nil) || stalls && !strings.Contains(err.Error(), "nothing more was taken for 1s") {
				t.Errorf("WriteLayer: %v", err)
			}
		})
	}
}
