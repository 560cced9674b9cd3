// SPDX-License-Identifier: Apache-2.0

package base_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/upstream"
)

// vendor serves, on loopback, a registry with the image of OS "old" and a repository
// with the files of a map, and writes the recipes that name them.
type vendor struct {
	*httptest.Server

	files   map[string]string // by path
	recipes string
	pulls   int            // of layers
	busy    map[string]int // how often a path is not served yet
}

const (
	aptState = "Origin: x\nDate: Sat, 15 Nov 2025 10:00:00 +0000\n"
	rpmState = `<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>9</revision><data type="primary"><timestamp>1763200800</timestamp></data></repomd>`
	keyDir   = "../upstream/testdata/keys"
)

// newVendor serves packages of that kind, signed by that key of testdata.
func newVendor(t *testing.T, packages, key string) *vendor {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(keyDir, key))
	if err != nil {
		t.Fatal(err)
	}
	v := &vendor{recipes: t.TempDir(), files: map[string]string{
		"/repos/old1/x86_64/key.pub": "Version: GnuPG v1\n" + string(text), "/repos/old1/x86_64/Release": aptState,
		"/repos/old1/x86_64/repodata/repomd.xml": rpmState,
	}}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0))) //nolint:forbidigo // the kind of logger that this registry knows
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				v.pulls++
			}
			inner.ServeHTTP(w, r)
		} else if v.busy[r.URL.Path] > 0 {
			v.busy[r.URL.Path]--
			w.WriteHeader(http.StatusServiceUnavailable)
		} else if file, ok := v.files[r.URL.Path]; ok {
			fmt.Fprint(w, file)
		} else {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(v.Close)
	v.push(t, "1", "etc/os-release", "etc/hostname")
	sum := sha256.Sum256(text)
	v.pin(t, packages, hex.EncodeToString(sum[:]), fingerprints[key])
	return v
}

var fingerprints = map[string]string{
	"never.asc":   "515583a2ed08ade0e2c8e28ae60778c3ac7b56ec",
	"expired.asc": "87f6b910fb895ad3d0c923ce14165a8780ce4d78",
}

// push puts an image with a layer for each file into the registry.
func (v *vendor) push(t *testing.T, tag string, files ...string) v1.Hash {
	t.Helper()
	var err error
	img := mutate.MediaType(empty.Image, "application/vnd.docker.distribution.manifest.v2+json")
	for i, file := range files {
		layer := imagetest.Layer(imagetest.Gzip, imagetest.Files(map[string]imagetest.Entry{file: {Data: file}}))
		img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: fmt.Sprint("layer ", i)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture, config.Created = "linux", "amd64", v1.Time{Time: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(v.host() + "/library/old:" + tag)
	if err == nil {
		err = remote.Write(ref, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.pulls = 0
	sum, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func (v *vendor) host() string { return strings.TrimPrefix(v.URL, "http://") }

// pin writes the recipes.
func (v *vendor) pin(t *testing.T, packages, sum, fingerprint string) {
	t.Helper()
	for file, text := range map[string]string{
		"cuda/9.0-old.yaml": `{cuda: "9.0", source: vendor, os: [old], platforms: [linux/amd64], version: "9.0.0", samples: {sass: [50], ptx: 50},
			layers: {base: {packages: [a], size_mb: 1}, runtime: {packages: [b], size_mb: 1}, devel: {packages: [c], size_mb: 1}}}`,
		"os/old.yaml": fmt.Sprintf(`{os: old, source: vendor, manager: apt, image: "%s/library/old:1", repository: {dir: old1, packages: %s, arch: {linux/amd64: x86_64}}}`, v.host(), packages),
		"repository/vendor.yaml": fmt.Sprintf(`{source: vendor, roots: {vendor: "%s/repos"}, keys: [{id: "%s", fingerprint: "%s", file: key.pub, sha256: "%s", since: 2020-01-01, serves: [deb, rpm]}]}`,
			v.URL, fingerprint[32:], fingerprint, sum),
	} {
		path := filepath.Join(v.recipes, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// store opens a store in dir, and returns it with the OS of the vendor.
func (v *vendor) store(t *testing.T, dir string) (*base.Store, *recipes.Recipe) {
	t.Helper()
	catalog, err := recipes.Load(v.recipes)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, "")
	r, ok := catalog.Recipe("old", "9.0")
	if !ok {
		t.Fatal("no recipe")
	}
	return s, r
}

func TestVendorBase(t *testing.T) {
	t.Parallel()
	for packages, want := range map[string][]string{
		"deb": {"vendor.asc", "vendor.gpg", "vendor.list", "state"},
		"rpm": {"vendor.asc", "vendor.gpg", "vendor.repo", "state"},
	} {
		t.Run(packages, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, packages, "never.asc")
			s, o := v.store(t, t.TempDir())
			b, err := s.Base(t.Context(), o, "linux/amd64")
			if err != nil {
				t.Fatal(err)
			}
			if date := time.Date(2025, 11, 15, 10, 0, 0, 0, time.UTC); !b.Epoch.Equal(date) {
				t.Errorf("epoch %v, want the state's date %v", b.Epoch, date)
			}
			config, err := s.Config(t.Context(), b)
			if err != nil || len(config.History) != 2 || len(config.RootFS.DiffIDs) != 2 {
				t.Errorf("Config = %+v, %v, want two layers with a line each", config, err)
			}
			files := index(t, s, b)
			var names []string
			for name := range files {
				names = append(names, name)
			}
			slices.Sort(names)
			slices.Sort(want)
			if diff := cmp.Diff(want, names); diff != "" {
				t.Errorf("index (-want +got):\n%s", diff)
			}
			if !strings.Contains(files["vendor.list"]+files["vendor.repo"], v.URL+"/repos/old1/x86_64") {
				t.Errorf("no address in %q %q", files["vendor.list"], files["vendor.repo"])
			}
			if !strings.Contains(files["state"], "sha256:") || strings.HasPrefix(files["vendor.gpg"], "-----") {
				t.Errorf("state %q, keyring %.20q", files["state"], files["vendor.gpg"])
			}
		})
	}
}

// index unpacks the index of a base.
func index(t *testing.T, s *base.Store, b base.Base) map[string]string {
	t.Helper()
	var manifest ocispec.Manifest
	info, err := s.Content().Info(t.Context(), b.Lists)
	if err != nil {
		t.Fatal(err)
	}
	blob(t, s, ocispec.Descriptor{Digest: b.Lists, Size: info.Size}, func(r io.Reader) {
		if err := json.NewDecoder(r).Decode(&manifest); err != nil {
			t.Fatal(err)
		}
	})
	files := map[string]string{}
	blob(t, s, manifest.Layers[0], func(r io.Reader) {
		zr, err := zstd.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		defer zr.Close()
		for tr := tar.NewReader(zr); ; {
			header, err := tr.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			data, readErr := io.ReadAll(tr)
			if err != nil || readErr != nil {
				t.Fatal(err, readErr)
			}
			files[header.Name] = string(data)
		}
	})
	return files
}

func blob(t *testing.T, s *base.Store, desc ocispec.Descriptor, read func(io.Reader)) {
	t.Helper()
	r, err := s.Content().ReaderAt(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read(content.NewReader(r))
}

// TestVendorRefresh: a base is made once, and again only if something has moved.
func TestVendorRefresh(t *testing.T) {
	t.Parallel()
	v, dir := newVendor(t, "deb", "never.asc"), t.TempDir()
	s, o := v.store(t, dir)
	first, err := s.Base(t.Context(), o, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	pulls := v.pulls
	again := func(refresh bool) base.Base {
		t.Helper()
		s, o := v.store(t, dir)
		s.Refresh = refresh
		b, err := s.Base(t.Context(), o, "linux/amd64")
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if diff := cmp.Diff(first, again(true)); diff != "" || v.pulls > pulls+1 { // the configuration may be asked for, no layer
		t.Errorf("refreshed, %d pulls (-first +again):\n%s", v.pulls-pulls, diff)
	}
	v.files["/repos/old1/x86_64/Release"] = aptState + "Moved: yes\n"
	if diff := cmp.Diff(first, again(false)); diff != "" {
		t.Errorf("not refreshed (-first +again):\n%s", diff)
	}
	moved := again(true)
	if moved.Lists == first.Lists || moved.Root != first.Root {
		t.Errorf("moved: %+v, want another index than %+v", moved, first)
	}
	v.Close()
	if diff := cmp.Diff(moved, again(false)); diff != "" {
		t.Errorf("without a network (-moved +again):\n%s", diff)
	}
}

// TestVendorLocked: image and index are the lock's, though both have moved since, and the image's name
// is not asked for again. That steps install from a newer state is said, and kept.
func TestVendorLocked(t *testing.T) {
	t.Parallel()
	v := newVendor(t, "deb", "never.asc")
	s, o := v.store(t, t.TempDir())
	then, err := s.Base(t.Context(), o, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	root, lists, packages, err := s.State(t.Context(), then)
	if err != nil || len(lists) != 1 || len(packages) > 0 || root.Image != then.Image || !strings.HasSuffix(root.Image, "@"+root.Digest) {
		t.Fatalf("State = %+v, %v, %v, %v", root, lists, packages, err)
	}
	moved := strings.Replace(aptState, "15 Nov", "16 Nov", 1)
	v.files["/repos/old1/x86_64/Release"] = moved
	ref, err := name.ParseReference(v.host() + "/library/old:1")
	if err == nil {
		err = remote.Write(ref, empty.Image)
	}
	if err != nil {
		t.Fatal(err)
	}
	fresh, _ := v.store(t, t.TempDir())
	fresh.Lock = &lock.Lock{Roots: []lock.Root{root}, Lists: lists}
	var said bytes.Buffer
	fresh.Log = slog.New(slog.NewTextHandler(&said, nil))
	if err := fresh.CheckLock(t.Context(), o, "linux/amd64"); err != nil {
		t.Error(err)
	}
	b, err := fresh.Base(t.Context(), o, "linux/amd64")
	address := lists[0].Repository
	want := then
	want.Moved = map[string]base.State{address: {Date: time.Date(2025, 11, 16, 10, 0, 0, 0, time.UTC), Sum: digest.FromString(moved)}}
	if diff := cmp.Diff(want, b); diff != "" || err != nil {
		t.Errorf("%v, locked (-want +now):\n%s", err, diff)
	}
	if was, is := then.Found(address), b.Found(address); was.Sum != digest.FromString(aptState) || is != want.Moved[address] {
		t.Errorf("found %+v then and %+v now", was, is)
	}
	if !strings.Contains(said.String(), "has moved since it was locked") || !strings.Contains(said.String(), "repository="+address) {
		t.Errorf("said %q", said.String())
	}
	if _, again, _, err := fresh.State(t.Context(), b); err != nil || !cmp.Equal(lists, again) {
		t.Errorf("a lock of what was locked has %+v, %v, want %+v", again, err, lists)
	}
	v.Close()
	if known, ok := fresh.Known(t.Context(), o, "linux/amd64"); !ok || known.Root != then.Root {
		t.Errorf("Known = %+v, %v", known, ok)
	}
}

// TestVendorOther: an image or an index that are not the lock's make no base, before anything is built.
func TestVendorOther(t *testing.T) {
	t.Parallel()
	v := newVendor(t, "deb", "never.asc")
	s, o := v.store(t, t.TempDir())
	then, err := s.Base(t.Context(), o, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	root, lists, _, err := s.State(t.Context(), then)
	if err != nil {
		t.Fatal(err)
	}
	other := v.push(t, "2", "etc/motd")
	none := "sha256:" + strings.Repeat("0", 64)
	for name, test := range map[string]struct {
		change func(*lock.Lock)
		want   string
	}{
		"another image": {func(l *lock.Lock) { l.Roots[0].Image = v.host() + "/library/old:2" }, ": its root is " + other.String() + ", the lock has " + root.Digest},
		"another index": {func(l *lock.Lock) { l.Roots[0].Index = none }, ": its index is " + root.Index + ", the lock has " + none},
		"no image":      {func(l *lock.Lock) { l.Roots[0].Image, l.Roots[0].Digest = "", none }, ": its root is " + root.Digest + ", the lock has " + none},
		"no repository": {func(l *lock.Lock) { l.Lists = nil }, "other repositories than in the lock:\n  " + lists[0].Repository + " is new"},
		"another one": {func(l *lock.Lock) {
			gone := lists[0]
			gone.Repository = "http://gone.example/Release"
			l.Lists = append(l.Lists, gone)
		}, "\n  http://gone.example/Release is no longer used"},
	} {
		fresh, _ := v.store(t, t.TempDir())
		fresh.Lock = &lock.Lock{Roots: []lock.Root{root}, Lists: slices.Clone(lists)}
		test.change(fresh.Lock)
		for call, err := range map[string]error{
			"CheckLock": fresh.CheckLock(t.Context(), o, "linux/amd64"),
			"Base":      func() error { _, err := fresh.Base(t.Context(), o, "linux/amd64"); return err }(),
		} {
			if err == nil || !strings.Contains(err.Error(), test.want) || hint.Code(err, 0) != 1 || !strings.Contains(hint.Of(err), "lock update") {
				t.Errorf("%s, %s: %v, hint %q, want %q", name, call, err, hint.Of(err), test.want)
			}
		}
		if _, ok := fresh.Known(t.Context(), o, "linux/amd64"); ok {
			t.Errorf("%s: a base is kept", name)
		}
	}
}

// TestVendorBusy: a server that has no answer for a moment is asked again, and not for ever.
func TestVendorBusy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		times int
		want  error
	}{"for a moment": {2, nil}, "for long": {3, base.ErrUnreachable}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, "deb", "never.asc")
			v.busy = map[string]int{"/repos/old1/x86_64/Release": test.times}
			s, o := v.store(t, t.TempDir())
			if _, err := s.Base(t.Context(), o, "linux/amd64"); !errors.Is(err, test.want) {
				t.Errorf("Base = %v, want %v", err, test.want)
			}
		})
	}
}

// TestVendorFails: each cause has its own words, and says whose fault it is.
func TestVendorFails(t *testing.T) {
	t.Parallel()
	never := fingerprints["never.asc"]
	for name, test := range map[string]struct {
		key         string
		change      func(*vendor)
		unreachable bool
		badKey      bool
		want        []string
	}{
		"another fingerprint": {"never.asc", func(v *vendor) { v.pin(t, "deb", strings.Repeat("0", 64), fingerprints["expired.asc"]) }, false, true, []string{never, fingerprints["expired.asc"], "key.pub"}},
		"another text":        {"never.asc", func(v *vendor) { v.pin(t, "deb", strings.Repeat("0", 64), never) }, false, true, []string{"sha256", strings.Repeat("0", 64), never}},
		"a web page":          {"never.asc", func(v *vendor) { v.files["/repos/old1/x86_64/key.pub"] = "<html>" }, false, true, []string{"not an armored OpenPGP public key"}},
		"expired":             {"expired.asc", func(*vendor) {}, false, true, []string{"expired on 2020-01-02", "recipes/repository"}},
		"no key":              {"never.asc", func(v *vendor) { delete(v.files, "/repos/old1/x86_64/key.pub") }, false, false, []string{"key.pub", "404", "moved"}},
		"no state":            {"never.asc", func(v *vendor) { delete(v.files, "/repos/old1/x86_64/Release") }, false, false, []string{"Release", "404"}},
		"a big key":           {"never.asc", func(v *vendor) { v.files["/repos/old1/x86_64/key.pub"] += strings.Repeat("x", 1<<20) }, false, false, []string{"key.pub has more than 1048576 bytes"}},
		"no date":             {"never.asc", func(v *vendor) { v.files["/repos/old1/x86_64/Release"] = "Origin: x\n" }, false, false, []string{"Release has no Date"}},
		"down":                {"never.asc", func(v *vendor) { v.Close() }, true, false, []string{"cannot reach the repository"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, "deb", test.key)
			test.change(v)
			s, o := v.store(t, t.TempDir())
			_, err := s.Base(t.Context(), o, "linux/amd64")
			var key *upstream.KeyError
			if err == nil || errors.Is(err, base.ErrUnreachable) != test.unreachable || errors.As(err, &key) != test.badKey {
				t.Fatalf("Base = %v (%T), unreachable %v, key %v", err, err, test.unreachable, test.badKey)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// TestVendorRegistry: an image that is not there is no outage.
func TestVendorRegistry(t *testing.T) {
	t.Parallel()
	v := newVendor(t, "rpm", "never.asc")
	s, o := v.store(t, t.TempDir())
	gone, down := *o, *o
	gone.OS.Image = v.host() + "/library/old:2"
	if _, err := s.Base(t.Context(), &gone, "linux/amd64"); err == nil || errors.Is(err, base.ErrUnreachable) || !strings.Contains(err.Error(), "old:2") {
		t.Errorf("Base = %v, want an error about old:2", err)
	}
	if _, err := s.Base(t.Context(), o, "linux/arm64"); err == nil || !strings.Contains(err.Error(), "no repository for it on linux/arm64") {
		t.Errorf("Base = %v, want an error about the platform", err)
	}
	down.OS.Image = "127.0.0.1:9/library/old:1"
	if _, err := s.Base(t.Context(), &down, "linux/amd64"); !errors.Is(err, base.ErrUnreachable) || !strings.Contains(err.Error(), "cannot reach the registry") {
		t.Errorf("Base = %v, want ErrUnreachable", err)
	}
}

// TestRegistrySays: a registry that asks for less, and one that would get a login which it is
// not to have, are not ones that cannot be reached for lack of a network.
func TestRegistrySays(t *testing.T) { // not parallel: it changes the environment
	v := newVendor(t, "rpm", "never.asc")
	s, o := v.store(t, t.TempDir())
	for _, tc := range []struct {
		name          string
		status        int
		header, value string
		unreachable   bool
		hint          string
	}{
		{"rate limit", http.StatusForbidden, "X-Ratelimit-Remaining", "0", true, "try again later"},
		{"login in the clear", http.StatusUnauthorized, "WWW-Authenticate", `Bearer realm="http://tokens.example.com/"`, false, "give the registry https"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(tc.header, tc.value)
				w.WriteHeader(tc.status)
			}))
			t.Cleanup(server.Close)
			dir, host := t.TempDir(), strings.TrimPrefix(server.URL, "http://")
			t.Setenv("DOCKER_CONFIG", dir)
			config := fmt.Sprintf(`{"auths": {%q: {"auth": "bWU6c2VjcmV0"}}}`, host)
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			there := *o
			there.OS.Image = host + "/library/old:1"
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the patience of a user, not of the client
			defer cancel()
			_, err := s.Base(ctx, &there, "linux/amd64")
			if err == nil || errors.Is(err, base.ErrUnreachable) != tc.unreachable || !strings.Contains(hint.Of(err), tc.hint) {
				t.Errorf("Base = %v, hint %q, want %q", err, hint.Of(err), tc.hint)
			}
		})
	}
}
