// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	blobs "github.com/containerd/containerd/v2/core/content"
	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/internal/contain"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
)

// mirrorWord is the mirror's password, in no other text.
const mirrorWord = "stand-in-4711"

// withLogin returns the address of the mirror for somebody who may use it.
func withLogin(t *testing.T, m *mirror) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, word, _ := r.BasicAuth(); user != "somebody" || word != mirrorWord {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		m.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http://", "http://somebody:"+mirrorWord+"@", 1)
}

// rootHere is debian12's as root makes it on this machine.
type rootHere struct {
	base.Base

	store *base.Store
}

func rootOwn(t *testing.T) rootHere {
	t.Helper()
	catalog, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	store, err := base.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store.Mirror = os.Getenv("CUDABUILD_DEBIAN_MIRROR")
	debian12, _ := catalog.Recipe("debian12", "11.8")
	b, err := store.Base(t.Context(), debian12, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	return rootHere{b, store}
}

// standIn puts the root into a registry under the name of Debian's own image, which is out
// of reach.
func (r rootHere) standIn(t *testing.T, ref string) {
	t.Helper()
	var manifest ocispec.Manifest
	if err := json.Unmarshal(r.blob(t, r.Root), &manifest); err != nil {
		t.Fatal(err)
	}
	zr, err := zstd.NewReader(bytes.NewReader(r.blob(t, manifest.Layers[0].Digest)))
	if err != nil {
		t.Fatal(err)
	}
	defer zr.Close()
	root, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.Append(empty.Image, mutate.Addendum{Layer: imagetest.Layer(imagetest.Gzip, root)})
	if err == nil {
		img, err = mutate.ConfigFile(img, config(t, img))
	}
	if err == nil {
		err = crane.Push(img, ref, crane.Insecure)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func config(t *testing.T, img v1.Image) *v1.ConfigFile {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c.OS, c.Architecture = "linux", "amd64"
	return c
}

func (r rootHere) blob(t *testing.T, d digest.Digest) []byte {
	t.Helper()
	info, err := r.store.Content().Info(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	data, err := blobs.ReadBlob(t.Context(), r.store.Content(), ocispec.Descriptor{Digest: d, Size: info.Size})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// startBuildkit starts one as an administrator would, on a port of loopback, that looks for
// images of docker.io at a mirror. It returns its address and its folder, with its log.
func startBuildkit(t *testing.T, hub string) (address, folder string) {
	t.Helper()
	dir := t.TempDir()
	group := "cudabuild-" + filepath.Base(filepath.Dir(dir)) // its steps', and nobody else's
	configFile, log := filepath.Join(dir, "buildkitd.toml"), filepath.Join(dir, "log")
	text := fmt.Sprintf(`root = %q
[grpc]
  address = ["tcp://127.0.0.1:0"]
[worker.containerd]
  enabled = false
[worker.oci]
  snapshotter = "overlayfs"
  binary = %q
  networkMode = "host"
  defaultCgroupParent = %q
[registry."docker.io"]
  mirrors = [%q]
[registry.%q]
  http = true
`, filepath.Join(dir, "root"), require.Tool(t, "../bin", "runc"), group, hub, hub)
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := os.WriteFile(configFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := contain.Command(require.Tool(t, "../bin", "buildkitd"), "--config", configFile)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { _ = contain.Run(ctx, cmd, nil); close(ended) }()
	t.Cleanup(func() { stop(); <-ended; removeGroups(t, group) })
	listens := regexp.MustCompile(`running server on (127\.0\.0\.1:[0-9]+)`)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		data, _ := os.ReadFile(log)
		if found := listens.FindSubmatch(data); found != nil {
			return "tcp://" + string(found[1]), dir
		}
		select {
		case <-ended:
			t.Fatalf("buildkitd has ended:\n%s", data)
		default:
		}
	}
	t.Fatalf("buildkitd does not listen, see %s", log)
	return "", ""
}

// removeGroups removes a cgroup from all hierarchies: a daemon that is killed leaves it.
func removeGroups(t *testing.T, name string) {
	t.Helper()
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} { // version 2, and each of version 1
		found, _ := filepath.Glob(filepath.Join(hierarchy, name))
		for _, top := range found {
			var groups []string
			_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					groups = append(groups, path)
				}
				return nil
			})
			for _, group := range slices.Backward(groups) { // those inside first
				if err := contain.RemoveGroup(group); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// user is somebody without any rights but to folders of its own.
type user struct {
	fixture

	home, builder string
}

func newUser(t *testing.T, builder string) user {
	t.Helper()
	home := t.TempDir()
	u := user{home: home, builder: builder}
	u.program, u.matrix = filepath.Join(home, "cudabuild"), filepath.Join(home, "matrix.yaml")
	u.state, u.out = filepath.Join(home, ".cache", "cudabuild"), filepath.Join(home, "out")
	for from, to := range map[string]string{"../bin/cudabuild": u.program, "../matrix.yaml": u.matrix} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(home, nobody, nobody), os.Chmod(filepath.Dir(home), 0o711)); err != nil {
		t.Fatal(err)
	}
	return u
}

// nobody is the number of a user that no machine has.
const nobody = 12345

func (u user) run(t *testing.T, args ...string) result {
	t.Helper()
	cmd := u.command(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// command is one of cudabuild as that user, with nothing of root's environment.
func (u user) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), u.program, args...)
	cmd.Dir = u.home
	cmd.Env = []string{"HOME=" + u.home, "PATH=" + os.Getenv("PATH"), "BUILDKIT_HOST=" + u.builder, "CUDABUILD_DEBIAN_MIRROR=" + os.Getenv("CUDABUILD_DEBIAN_MIRROR")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

// interrupt presses Ctrl-C while mmdebstrap runs: nothing of the root is kept.
func (u user) interrupt(t *testing.T, args ...string) {
	t.Helper()
	cmd := u.command(t, append([]string{"matrix"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if strings.Contains(lines.Text(), "installing essential packages") { // mmdebstrap's own words
			_ = cmd.Process.Signal(os.Interrupt)
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("interrupted while mmdebstrap runs: exit %d, want 130\n%s", code, &said)
	}
	left, err := filepath.Glob(filepath.Join(u.state, "bases", "[a-z]*"))
	if names := fmt.Sprint(left); err != nil || strings.Contains(names, "make-") || strings.Contains(names, "debian12") {
		t.Errorf("an interrupted bootstrap has left %v, %v", left, err)
	}
}

// build runs the matrix in the folders that are the user's by default.
func (u user) build(t *testing.T, args ...string) (doc record.Run, r result) {
	t.Helper()
	r = u.run(t, append([]string{"matrix", "--json"}, args...)...)
	if r.stdout != "" {
		if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
			t.Fatalf("matrix --json: %v\n%s", err, r.stdout)
		}
	}
	return doc, r
}

// base is the root of debian12 that the user has.
func (u user) base(t *testing.T) (b base.Base) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(u.state, "bases", "debian12-linux-amd64.json"))
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}
