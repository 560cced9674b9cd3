// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/record"
)

// vendor stands in, on loopback, for a registry that wants a login and for a repository.
type vendor struct {
	*httptest.Server

	mu    sync.Mutex
	state string         // what the repository and the registry answer: "", or "gone"
	asked map[string]int // requests by their first folder: "v2", "repos"
	image v1.Image
}

// login is that of the registry's one user.
var login = authn.Basic{Username: "somebody", Password: "stand-in"}

const vendorImage = "/stand-in/tiny:1"

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{asked: map[string]int{}}
	key, err := os.ReadFile("../upstream/testdata/keys/never.asc")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"/repos/tiny1/x86_64/key.pub": key,
		"/repos/tiny1/x86_64/Release": []byte("Date: Sat, 15 Nov 2025 10:00:00 +0000\n"),
	}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0))) //nolint:forbidigo // the kind of logger that this registry knows
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		first, _, _ := strings.Cut(r.URL.Path[1:], "/")
		v.asked[first]++
		state := v.state
		v.mu.Unlock()
		user, password, _ := r.BasicAuth()
		switch {
		case files[r.URL.Path] != nil:
			_, _ = w.Write(files[r.URL.Path])
		case first != "v2":
			http.NotFound(w, r)
		case user != login.Username || password != login.Password:
			w.Header().Set("WWW-Authenticate", `Basic realm="stand-in"`)
			w.WriteHeader(http.StatusUnauthorized)
		case state == "gone" && r.URL.Path != "/v2/":
			http.NotFound(w, r)
		default:
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(v.Close)
	v.push(t)
	return v
}

func (v *vendor) host() string { return strings.TrimPrefix(v.URL, "http://") }

// push makes the image of one gzip layer with the root of tiny.
func (v *vendor) push(t *testing.T) {
	t.Helper()
	var root bytes.Buffer
	if err := tinyRoot(t, "amd64")(&root); err != nil {
		t.Fatal(err)
	}
	img, err := mutate.Append(empty.Image, mutate.Addendum{Layer: imagetest.Layer(imagetest.Gzip, root.Bytes())})
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture, config.Created = "linux", "amd64", v1.Time{Time: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)}
	if v.image, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(v.host() + vendorImage)
	if err == nil {
		err = remote.Write(ref, v.image, remote.WithAuth(&login))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// house returns one where tiny starts from the vendor's image, and logs in to the registry.
func (v *vendor) house(t *testing.T) *house {
	t.Helper()
	needEngine(t)
	overlay, docker := t.TempDir(), t.TempDir()
	key, err := os.ReadFile("../upstream/testdata/keys/never.asc")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(key)
	for file, text := range map[string]string{
		overlay + "/os/tiny.yaml": fmt.Sprintf(`{os: tiny, title: Tiny, source: test, manager: tiny, bootstrap: null, image: "%s", size_mb: 1, repository: {dir: tiny1, packages: deb, arch: {linux/amd64: x86_64}}}`, v.host()+vendorImage),
		overlay + "/repository/test.yaml": fmt.Sprintf(`{source: test, roots: {test: "%s/repos"}, keys: [{id: "ac7b56ec", file: key.pub, sha256: "%s", since: 2020-01-01, serves: [deb]}]}`,
			v.URL, hex.EncodeToString(sum[:])),
		docker + "/config.json": fmt.Sprintf(`{"auths": {"%s": {"username": "%s", "password": "%s"}}}`, v.host(), login.Username, login.Password),
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("DOCKER_CONFIG", docker)
	return &house{state: t.TempDir(), out: t.TempDir(), toolDir: tools, catalog: load(t, overlay)}
}

func (v *vendor) set(state string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state, v.asked = state, map[string]int{}
}

// TestVendorImage: BuildKit pulls it, with the user's login; its layer is the vendor's own to
// the byte, no second copy is kept, and a second run asks nobody.
func TestVendorImage(t *testing.T) { // not parallel: it sets the environment
	v := newVendor(t)
	h := v.house(t)
	r := h.done(t, "12.1-base-*")
	if r.Totals.Passed != 1 {
		t.Fatalf("record = %+v", r.Cells)
	}
	layers, err := v.image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	own, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(h.out, "images", "blobs", "sha256", own.Hex)); err != nil {
		t.Errorf("the vendor's layer is not in the image: %v", err)
	}
	if _, err := os.Stat(filepath.Join(h.state, "bases", "blobs", "sha256", own.Hex)); err == nil {
		t.Error("the store of bases has a copy of the vendor's layer")
	}
	digest, err := v.image.Digest()
	if err != nil || len(r.Inputs) != 1 || r.Inputs[0].Root != digest.String() {
		t.Errorf("inputs = %+v, want the root %v", r.Inputs, digest)
	}
	v.set("")
	if again := h.done(t, "12.1-base-*"); !again.Cells[0].Cached || len(v.asked) != 0 {
		t.Errorf("second run: %+v, requests %v, want none", again.Cells[0], v.asked)
	}
}

// TestVendorImageLogin: a BuildKit that others can listen to does not get the login, which is said; one of the
// matrix gets what the image needs.
func TestVendorImageLogin(t *testing.T) {
	for said, status := range map[string]record.Status{"in the clear": record.Failed, "the matrix names": record.Passed} {
		t.Run(said, func(t *testing.T) {
			h, log := newVendor(t).house(t), &watcher{}
			address, _ := given(t)
			if h.addresses = []string{address}; status == record.Failed {
				h.addresses = []string{"tcp://0.0.0.0:" + forward(t, address)} // answers here, and looks like another machine
			}
			h.ofMatrix = status == record.Passed
			h.log = slog.New(slog.NewTextHandler(log, nil))
			r, err := h.run(t.Context(), t, "12.1-base-*")
			if c := r.Cells[0]; err != nil || c.Status != status || status == record.Failed && !strings.Contains(c.Reason, "401") {
				t.Errorf("%s: %s, %v, want %s", c.Status, c.Reason, err, status)
			}
			if text := log.String(); strings.Count(text, "WARN") != 1 || !strings.Contains(text, said) || !strings.Contains(text, h.addresses[0]) {
				t.Errorf("log %q, want one warning that says %q and names the BuildKit", text, said)
			}
		})
	}
}

// forward returns a port of loopback where the socket at an address answers.
func forward(t *testing.T, address string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				socket, err := net.Dial("unix", strings.TrimPrefix(address, "unix://"))
				if err != nil {
					return
				}
				defer socket.Close()
				group.Go(func() {
					_, _ = io.Copy(socket, conn)
					_ = socket.Close()
				})
				_, _ = io.Copy(conn, socket)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// TestVendorImageGone: between resolving and pulling, an image may vanish, and a registry.
func TestVendorImageGone(t *testing.T) {
	for state, unreachable := range map[string]bool{"gone": false, "down": true} {
		t.Run(state, func(t *testing.T) {
			v := newVendor(t)
			h := v.house(t)
			bases, err := base.Open(filepath.Join(h.state, "bases"))
			if err != nil {
				t.Fatal(err)
			}
			tiny, _ := h.catalog.Recipe("tiny", "12.1")
			if _, err := bases.Base(t.Context(), tiny, "linux/amd64"); err != nil {
				t.Fatal(err)
			}
			v.set(state)
			if state == "down" {
				v.Close()
			}
			r, err := h.run(t.Context(), t, "12.1-base-*")
			if errors.Is(err, base.ErrUnreachable) != unreachable {
				t.Errorf("Run's error = %v, want an outage: %v", err, unreachable)
			}
			if said := fmt.Sprint(err, r.Cells[0].Reason); !strings.Contains(said, v.host()+"/stand-in/tiny@sha256:") {
				t.Errorf("%q does not name the image", said)
			}
		})
	}
}

// TestVendorImageLayout: an OS starts from a registry's image, and from no folder.
func TestVendorImageLayout(t *testing.T) {
	v := newVendor(t)
	h := v.house(t)
	bases, err := base.Open(filepath.Join(h.state, "bases"))
	if err != nil {
		t.Fatal(err)
	}
	tiny, _ := h.catalog.Recipe("tiny", "12.1")
	folder := *tiny
	folder.OS.Image = "oci:some/folder"
	if _, err := bases.Base(t.Context(), &folder, "linux/amd64"); err == nil || !strings.Contains(err.Error(), "image in a registry") {
		t.Errorf("Base = %v, want that it is to be in a registry", err)
	}
}
