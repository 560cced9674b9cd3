// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"archive/tar"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/cudabuild/cudabuild/fleet/install"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/verify"
)

// programs is a folder of stand-ins for the observer.
func programs(t *testing.T, architectures ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, arch := range architectures {
		if err := os.WriteFile(filepath.Join(dir, "observe-"+arch), []byte("a program for "+arch), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func find(t *testing.T, dir string) *install.Image {
	t.Helper()
	img, err := install.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digestOf(t *testing.T, img *install.Image) string {
	t.Helper()
	digest, err := img.Index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// only is the image of the only processor.
func only(t *testing.T, img *install.Image) v1.Image {
	t.Helper()
	manifest, err := img.Index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%v, %+v", err, manifest)
	}
	one, err := img.Index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return one
}

func TestFind(t *testing.T) {
	t.Parallel()
	img := find(t, programs(t, "amd64", "arm64"))
	// As it was in the first release that has it. Other bytes of the same programs would be another image in every registry.
	const want = "sha256:fad5ec4e212ab754d0e128c906cc6ed9dc621e14779b2889926b68e5b8e55f1b"
	if got := digestOf(t, img); got != want || got != digestOf(t, find(t, programs(t, "arm64", "amd64"))) {
		t.Errorf("digest %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, img.Platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	if one := find(t, programs(t, "arm64")); !cmp.Equal(one.Platforms, []string{"linux/arm64"}) || digestOf(t, one) == want {
		t.Errorf("of one program: %v", one.Platforms)
	}
	_, err := install.Find(t.TempDir())
	if err == nil || !strings.Contains(hint.Of(err), "make tools") {
		t.Errorf("of no program: %v, hint %q", err, hint.Of(err))
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	img := only(t, find(t, programs(t, "arm64")))
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{User: "65534:65534", Entrypoint: []string{"/observe"}, WorkingDir: "/"}
	if diff := cmp.Diff(want, config.Config); diff != "" || config.Architecture != "arm64" || config.OS != "linux" {
		t.Errorf("%s/%s, configuration (-want +got):\n%s", config.OS, config.Architecture, diff)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%v, %d layers", err, len(layers))
	}
	if kind, err := layers[0].MediaType(); err != nil || kind != types.OCILayer {
		t.Errorf("%v, layer of type %s", err, kind)
	}
	archive, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	header, err := tar.NewReader(archive).Next()
	if err != nil || header.Name != "observe" || header.Mode != 0o555 || header.Uid != 0 {
		t.Errorf("%v: %+v", err, header)
	}
}

func repository(t *testing.T, host string) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(host + "/team/observe")
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

type login authn.AuthConfig

func (l login) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(l)), nil
}

// changes counts the requests that send something.
func changes(server *registrytest.Server) (n int) {
	for _, r := range server.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			n++
		}
	}
	return n
}

// TestPush pushes with a login, for the first time and again.
func TestPush(t *testing.T) {
	t.Parallel()
	server := registrytest.Proxy(t, registrytest.Start(t, registrytest.NewTokens(t)).Host)
	repo, img := repository(t, server.Host), find(t, programs(t, "amd64", "arm64"))
	o := registry.Options{Keychain: login{Username: registrytest.User, Password: registrytest.Password}}
	digest := digestOf(t, img)
	want := &install.Installed{Version: 1, Image: repo.Name() + "@" + digest, Tag: repo.Name() + ":observe-" + digest[7:19], Platforms: img.Platforms, Pushed: true}
	got, err := img.Push(t.Context(), repo, o)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	server.Forget()
	got, err = img.Push(t.Context(), repo, o)
	if want.Pushed = false; err != nil || !cmp.Equal(want, got) || changes(server) > 0 {
		t.Errorf("again: %v, %+v, %d requests that send", err, got, changes(server))
	}
	stands, err := remote.Index(repo.Digest(digest), remote.WithAuth(authn.FromConfig(authn.AuthConfig(o.Keychain.(login)))))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(stands); err != nil {
		t.Error(err)
	}
	o.Keychain = login{Username: registrytest.User, Password: "wrong"}
	if _, err := img.Push(t.Context(), repo, o); err == nil || !strings.Contains(err.Error(), "incorrect username or password") {
		t.Errorf("with a wrong password: %v", err)
	}
}

// TestLost: where the answer to a tag is lost, the tag is looked at again.
func TestLost(t *testing.T) {
	t.Parallel()
	server := registrytest.Proxy(t, registrytest.Start(t, nil).Host)
	repo, img := repository(t, server.Host), find(t, programs(t, "amd64"))
	dropped := false
	server.Arm(func(_ int, r *http.Request) registrytest.Fault {
		if drop := r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/observe-") && !dropped; drop {
			dropped = true
			return registrytest.Fault{Drop: true}
		}
		return registrytest.Fault{}
	}, nil)
	if got, err := img.Push(t.Context(), repo, registry.Options{}); err != nil || !got.Pushed || !dropped {
		t.Errorf("%v, %+v, dropped %t", err, got, dropped)
	}
	if _, err := remote.Index(repo.Tag("observe-" + digestOf(t, img)[7:19])); err != nil {
		t.Error(err)
	}
}

// TestVerify judges the image of the real program: nothing of the driver, and nothing that asks for it.
func TestVerify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "observe-amd64"), "../../cmd/observe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	report, err := verify.New(verify.Options{}).Image(t.Context(), "observe", only(t, find(t, dir)))
	if err != nil || report.Verdict != verify.Pass || len(report.Findings) > 0 || len(report.Portability.Predictions) > 0 || report.Portability.Unsure != "" || report.Portability.CannotStart != "" {
		t.Errorf("%v: %s, findings %v, %+v", err, report.Verdict, report.Findings, report.Portability)
	}
}
