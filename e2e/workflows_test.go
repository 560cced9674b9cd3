// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/internal/standin/actions"
	"github.com/cudabuild/cudabuild/record"
)

// TestWorkflows runs the workflows that others have in CI, with a stand-in for GitHub and
// everything else real, from packages to tags in a registry that asks for a login: the one
// that `plan --emit github` writes, and the one that docs/ci.md shows.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		require.Missing(t, "root", os.ErrPermission)
	}
	if _, err := exec.LookPath("jq"); err != nil {
		require.Missing(t, "jq", err)
	}
	f := newFixture(t)
	registry := startRegistry(t, filepath.Join(filepath.Dir(f.program), "registry"), locked(t))
	t.Run("emitted", func(t *testing.T) { testEmitted(t, f, registry) })
	t.Run("reusable", func(t *testing.T) { testReusable(t, f, registry) })
}

// The login of the registry, and what its file of passwords says of it.
const (
	login    = "octocat"
	password = "stand-in password"
	hashed   = login + ":$2y$05$abcdefghijklmnopqrstuuKAexcJ0UOk3kdOZlGua9Pmrp63f/gdm\n"
)

// locked is the configuration of a registry that asks for the login.
func locked(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "htpasswd")
	write(t, file, hashed)
	return "auth: {htpasswd: {realm: stand-in, path: " + file + "}}\n"
}

// github is a stand-in for GitHub with somebody's repository, which has the files that are
// given and the project's matrix.
func (f fixture) github(t *testing.T, event string, files map[string]string) (machine *actions.Machine, user string) {
	t.Helper()
	user = t.TempDir()
	write(t, filepath.Join(user, "matrix.yaml"), read(t, f.matrix))
	for file, text := range files {
		write(t, filepath.Join(user, file), text)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if t.Failed() {
			t.Logf("log of the workflow:\n%s", read(t, log.Name()))
		}
	})
	root := []string{"CUDABUILD_STATE_DIR=" + f.state}
	for _, key := range []string{"CUDABUILD_DEBIAN_MIRROR", "http_proxy", "https_proxy", "no_proxy"} {
		if value := os.Getenv(key); value != "" {
			root = append(root, key+"="+value)
		}
	}
	machine = &actions.Machine{
		Dir: t.TempDir(), Repository: "acme/images", Event: event, Log: log, Env: append(os.Environ(), goEnv(t)...), Root: root,
		Vars: map[string]string{"REGISTRY_USERNAME": login}, Secrets: map[string]string{"REGISTRY_PASSWORD": password},
		Workflows: map[string]string{"cudabuild/cudabuild/": ".."},
		Checkout: func(repository, _, dir string) error {
			if repository == "" {
				return os.CopyFS(dir, os.DirFS(user))
			}
			return copyProject(t, dir)
		},
	}
	return machine, user
}

// goEnv is where Go finds its caches and settings, which are not in the home of a job.
func goEnv(t *testing.T) (env []string) {
	t.Helper()
	for _, key := range []string{"GOCACHE", "GOMODCACHE", "GOENV"} {
		env = append(env, key+"="+strings.TrimSpace(run(t, "go", "env", key).stdout))
	}
	return env
}

// copyProject copies what is committed of this repository, changed or not, and the daemons,
// which make then finds to be there.
func copyProject(t *testing.T, dir string) error {
	t.Helper()
	files := strings.Fields(run(t, "git", "-C", "..", "ls-files").stdout)
	cmd := exec.Command("cp", append(append([]string{"-a", "--parents"}, files...), "bin/buildkitd", "bin/runc", dir)...)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s", out)
	}
	return err
}

// passed runs a workflow whose jobs all end as said.
func passed(t *testing.T, m *actions.Machine, file string, want map[string]string) {
	t.Helper()
	results, err := m.Run(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, results.Ends()); diff != "" {
		t.Fatalf("jobs (-want +got):\n%s", diff)
	}
}

// published are the tags of a repository, staging aside, with the digests that they name.
func published(t *testing.T, repository string) map[string]string {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	auth := remote.WithAuth(&authn.Basic{Username: login, Password: password})
	tags, err := remote.List(repo, auth, remote.WithContext(t.Context()))
	if err != nil {
		return nil // there is no such repository yet
	}
	digests := map[string]string{}
	for _, tag := range tags {
		if strings.HasPrefix(tag, "staging-") {
			continue
		}
		d, err := remote.Head(repo.Tag(tag), auth, remote.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		digests[tag] = d.Digest.String()
	}
	return digests
}

// recorded are the tags that the records of a run's artifacts give, with their digests.
func recorded(t *testing.T, m *actions.Machine) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(m.Dir, "artifacts", "run-*", "run.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	digests := map[string]string{}
	for _, file := range files {
		var doc record.Run
		if err := json.Unmarshal([]byte(read(t, file)), &doc); err != nil {
			t.Fatal(err)
		}
		for _, c := range doc.Cells {
			for _, tag := range c.Tags {
				digests[tag[strings.LastIndex(tag, ":")+1:]] = c.Digest
			}
		}
	}
	return digests
}

func testEmitted(t *testing.T, f fixture, registry string) {
	repository := registry + "/team/cuda"
	m, user := f.github(t, "pull_request", nil)
	matrix := strings.Replace(read(t, f.matrix), "image: cuda ", "image: "+repository+" ", 1)
	write(t, filepath.Join(user, "matrix.yaml"), matrix)
	emit := exec.Command(f.program, "plan", "--emit", "github", "--only", "12.4-base-*", "--only", "11.8-base-*")
	emit.Dir = user
	text, err := emit.Output()
	if err != nil || !bytes.Contains(text, []byte(registry)) {
		t.Fatalf("plan --emit github: %v\n%s", err, text)
	}
	file := filepath.Join(t.TempDir(), "cuda-images.yml")
	write(t, file, string(text))
	ends := map[string]string{
		"tools": actions.Success, "family": actions.Success, "family/11.8-debian12": actions.Success, "family/12.4-debian13": actions.Success,
		"publish": actions.Skipped,
	}
	passed(t, m, file, ends)
	if tags := published(t, repository); len(tags) > 0 {
		t.Errorf("a pull request published %v", tags)
	}
	m.Event, ends["publish"] = "push", actions.Success
	passed(t, m, file, ends)
	if diff := cmp.Diff(recorded(t, m), published(t, repository)); diff != "" {
		t.Errorf("tags (-recorded +published):\n%s", diff)
	}
}

// release packs the programs of bin as a release does, and returns the archive's SHA-256.
func (f fixture) release(t *testing.T, version, dir string) string {
	t.Helper()
	top := "cudabuild-" + version + "-linux-amd64"
	archive := filepath.Join(dir, version, top+".tar.gz")
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		t.Fatal(err)
	}
	r := run(t, "tar", "-C", filepath.Dir(filepath.Dir(f.program)), "--transform", "s,.*/,"+top+"/,", "-I", "gzip -1", "-cf", archive,
		"bin/cudabuild", "bin/buildkitd", "bin/runc", "bin/nvidia-cdi-hook", "scripts/deps.sh", "scripts/emulator.sh")
	if r.code != 0 {
		t.Fatal(r.stderr)
	}
	sum := sha256.Sum256([]byte(read(t, archive)))
	return hex.EncodeToString(sum[:])
}

func testReusable(t *testing.T, f fixture, registry string) {
	repository, releases := registry+"/team/reusable", t.TempDir()
	text, err := actions.Example("../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	secrets := "\n    secrets: {password: \"${{ secrets.REGISTRY_PASSWORD }}\"}"
	text = strings.NewReplacer("ghcr.io/acme/cuda", repository, `"`+strings.Repeat("0", 64)+`"`, f.release(t, "v0.2.0", releases)+`
      only: "12.4-base-* 11.8-base-*"
      username: `+login+`
      from: file://`+releases+secrets).Replace(text)
	m, _ := f.github(t, "push", nil)
	file := filepath.Join(t.TempDir(), "cuda.yml")
	write(t, file, strings.TrimRight(text, "\n")+secrets+"\n")
	passed(t, m, file, map[string]string{
		"build": actions.Success, "build/plan": actions.Success, "build/family": actions.Success,
		"build/family/11.8-debian12": actions.Success, "build/family/12.4-debian13": actions.Success,
		"publish": actions.Success, "publish/publish": actions.Success,
	})
	tags := published(t, repository)
	if diff := cmp.Diff(recorded(t, m), tags); diff != "" {
		t.Errorf("tags (-recorded +published):\n%s", diff)
	}
	if one, other := tags["12.4-base-debian13"], published(t, registry+"/team/cuda")["12.4-base-debian13"]; one != other {
		t.Errorf("12.4-base-debian13 is %s, and %s where the other workflow published it", one, other)
	}
}
