// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/internal/standin/actions"
	"github.com/cudabuild/cudabuild/record"
)

// TestWorkflows runs the workflows that others have in CI, with a stand-in for GitHub and
// everything else real, from packages to tags in a registry that asks for a login: the one
// that `plan --emit github` writes, and the one that docs/ci.md shows. What both build is the same.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		require.Missing(t, "root", os.ErrPermission)
	}
	for _, program := range []string{"curl", "jq", "cosign"} {
		if _, err := exec.LookPath(program); err != nil {
			require.Missing(t, program, err)
		}
	}
	f, registry := newFixture(t), registrytest.Start(t, registrytest.NewTokens(t))
	var emitted, reusable map[string]string
	t.Run("emitted", func(t *testing.T) { emitted = testEmitted(t, f, registry.Host+"/team/emitted") })
	t.Run("reusable", func(t *testing.T) { reusable = testReusable(t, f, registrytest.Proxy(t, registry.Host)) })
	if diff := cmp.Diff(emitted, reusable); diff != "" {
		t.Errorf("two workflows published (-emitted +reusable):\n%s", diff)
	}
}

// github is a stand-in for GitHub with somebody's repository, a folder that has the
// project's matrix, and more lines of it.
type github struct {
	*actions.Machine

	user string
	log  bytes.Buffer
}

func (f fixture) github(t *testing.T, event, more string) *github {
	t.Helper()
	g := &github{user: t.TempDir()}
	write(t, filepath.Join(g.user, "matrix.yaml"), read(t, f.matrix)+more)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the workflows:\n%s", g.log.String())
		}
	})
	root := []string{"CUDABUILD_STATE_DIR=" + f.state}
	for _, key := range []string{"CUDABUILD_DEBIAN_MIRROR", "http_proxy", "https_proxy", "no_proxy"} {
		if value := os.Getenv(key); value != "" {
			root = append(root, key+"="+value)
		}
	}
	g.Machine = &actions.Machine{
		Dir: t.TempDir(), Repository: "acme/images", Event: event, Log: &g.log, Env: append(os.Environ(), goEnv(t)...), Root: root,
		Vars: map[string]string{"REGISTRY_USERNAME": registrytest.User}, Secrets: map[string]string{"REGISTRY_PASSWORD": registrytest.Password},
		Workflows: map[string]string{"cudabuild/cudabuild/": ".."},
		Checkout: func(repository, _, dir string) error {
			if repository == "" {
				return os.CopyFS(dir, os.DirFS(g.user))
			}
			return copyProject(t, dir)
		},
	}
	return g
}

// goEnv is where Go finds its caches and settings, which are not in the home of a job.
func goEnv(t *testing.T) (env []string) {
	t.Helper()
	for _, key := range []string{"GOCACHE", "GOMODCACHE", "GOENV"} {
		env = append(env, key+"="+strings.TrimSpace(run(t, "go", "env", key).stdout))
	}
	return env
}

// copyProject copies what git knows or would take of this repository, as it is now, and the
// daemons, which make then finds to be there.
func copyProject(t *testing.T, dir string) error {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files := strings.Fields(run(t, "git", "-C", "..", "ls-files", "--cached", "--others", "--exclude-standard").stdout)
	cmd := exec.Command("cp", append(append([]string{"-a", "--parents"}, files...), "bin/buildkitd", "bin/runc", dir)...)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s", out)
	}
	return err
}

// must runs a workflow, or what had not succeeded of it before, whose jobs all end as said.
func (g *github) must(t *testing.T, file string, before actions.Results, want map[string]string) actions.Results {
	t.Helper()
	results, err := g.RunAgain(t.Context(), file, before)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, results.Ends()); diff != "" {
		t.Fatalf("jobs (-want +got):\n%s", diff)
	}
	return results
}

// promoted are the tags of a repository, which must be those of the records that the jobs
// have left, with the same digests, and no others.
func (g *github) promoted(t *testing.T, repository string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(g.Dir, "artifacts", "run-*", "run.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	recorded := map[string]string{}
	for _, file := range files {
		var doc record.Run
		if err := json.Unmarshal([]byte(read(t, file)), &doc); err != nil {
			t.Fatal(err)
		}
		for _, c := range doc.Cells {
			for _, tag := range c.Tags {
				recorded[tag[strings.LastIndex(tag, ":")+1:]] = c.Digest
			}
		}
	}
	tags := tagsOf(t, repository)
	if diff := cmp.Diff(recorded, tags); diff != "" || len(tags) == 0 {
		t.Errorf("tags (-recorded +published):\n%s", diff)
	}
	return tags
}

// tagsOf are the tags of a repository with the digests that they name, without the lists of evidence that stand under
// tags sha256-... there.
func tagsOf(t *testing.T, repository string) map[string]string {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	options := []remote.Option{remote.WithAuth(&authn.Basic{Username: registrytest.User, Password: registrytest.Password}), remote.WithContext(t.Context())}
	tags, err := remote.List(repo, options...)
	if err != nil {
		return nil // there is no such repository yet
	}
	digests := map[string]string{}
	for _, tag := range tags {
		if strings.HasPrefix(tag, "sha256-") {
			continue
		}
		d, err := remote.Head(repo.Tag(tag), options...)
		if err != nil {
			t.Fatal(err)
		}
		digests[tag] = d.Digest.String()
	}
	return digests
}

// staged makes sure that a repository has one staging tag and no other.
func staged(t *testing.T, repository, tag string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(tagsOf(t, repository))); !slices.Equal(got, []string{tag}) {
		t.Errorf("tags %v, want %s alone", got, tag)
	}
}

// testEmitted: of a pull request nothing is published; nor is it while a package of one
// family is missing, and what the other has staged counts when the job runs again.
func testEmitted(t *testing.T, f fixture, repository string) map[string]string {
	g := f.github(t, "pull_request", "publish: {to: "+repository+"}\n")
	const whole = "layers: {base: {packages: [libcudart11.0], size_mb: 20}}\n"
	recipe := filepath.Join(g.user, "my", "cuda", "11.8-debian12.yaml")
	write(t, recipe, whole)
	emit := exec.Command(f.program, "plan", "--emit", "github", "--recipes", "my", "--only", "12.4-base-*", "--only", "11.8-base-*")
	emit.Dir = g.user
	text, err := emit.Output()
	if err != nil {
		t.Fatalf("plan --emit github: %v\n%s", err, text)
	}
	file := filepath.Join(t.TempDir(), "cuda-images.yml")
	write(t, file, string(text))
	ends := func(eleven, publish string) map[string]string {
		return map[string]string{
			"tools": actions.Success, "family": eleven, "family/11.8-debian12": eleven, "family/12.4-debian13": actions.Success, "publish": publish,
		}
	}
	g.must(t, file, nil, ends(actions.Success, actions.Skipped))
	for _, repository := range []string{repository, repository + "-cache"} {
		if tags := tagsOf(t, repository); len(tags) > 0 {
			t.Errorf("a pull request left %v in %s", tags, repository)
		}
	}
	g.Event = "push"
	write(t, recipe, strings.Replace(whole, "[libcudart11.0]", "[libcudart11.0, libcudart-of-nobody]", 1))
	before := g.must(t, file, nil, ends(actions.Failure, actions.Skipped))
	mustContain(t, "log", g.log.String(), "libcudart-of-nobody: the repositories have no such package", "no tag has moved")
	staged(t, repository, "staging-4711.2-12.4-base-debian13")
	write(t, recipe, whole)
	g.must(t, file, before, ends(actions.Success, actions.Success))
	want := []string{"11.8-base-debian12-amd64", "12.4-base-debian13-amd64"}
	if got := slices.Sorted(maps.Keys(tagsOf(t, repository+"-cache"))); !slices.Equal(got, want) {
		t.Errorf("the cache has %v, want %v", got, want)
	}
	return g.promoted(t, repository)
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

// signed makes sure that all evidence of each tag is there and that this key has signed it.
func (f fixture) signed(t *testing.T, repository string, tags map[string]string, k keys) {
	t.Helper()
	login := base64.StdEncoding.EncodeToString([]byte(registrytest.User + ":" + registrytest.Password))
	host, _, _ := strings.Cut(repository, "/")
	docker := t.TempDir()
	write(t, filepath.Join(docker, "config.json"), `{"auths": {"`+host+`": {"auth": "`+login+`"}}}`)
	args := []string{"DOCKER_CONFIG=" + docker, f.program, "verify", "--attestations", "--key", filepath.Join(k.dir, "release.pub")}
	for tag := range tags {
		args = append(args, repository+":"+tag)
	}
	if r := run(t, "env", args...); r.code != 0 || strings.Count(r.stdout, "VALID  ") != len(tags) {
		t.Errorf("verify --attestations --key: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// testReusable: one family is built and cannot be staged, because a quota is used up; so no
// tag moves, and when there is room again its job alone has to run again. All jobs sign with
// the key that a secret holds. A pull request reads the cache and nothing else, and writes nothing.
func testReusable(t *testing.T, f fixture, registry *registrytest.Server) map[string]string {
	repository, releases := registry.Host+"/team/reusable", t.TempDir()
	text, err := actions.Example("../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	secrets := `
    secrets: {password: "${{ secrets.REGISTRY_PASSWORD }}", sign-key: "${{ secrets.SIGN_KEY }}", sign-password: "${{ secrets.SIGN_PASSWORD }}"}
`
	text = strings.NewReplacer("ghcr.io/acme/cuda", repository, `"`+strings.Repeat("0", 64)+"\"\n", f.release(t, "v0.2.0", releases)+`
      only: "12.4-base-* 11.8-base-*"
      username: `+registrytest.User+`
      from: file://`+releases+secrets).Replace(text)
	g, k := f.github(t, "push", ""), newKeys(t, cosigns)
	g.Secrets["SIGN_KEY"], g.Secrets["SIGN_PASSWORD"] = read(t, filepath.Join(k.dir, "release.key")), password
	file := filepath.Join(t.TempDir(), "cuda.yml")
	write(t, file, strings.TrimRight(text, "\n")+secrets)
	ends := func(eleven, publish string) map[string]string {
		all := map[string]string{
			"build": eleven, "build/plan": actions.Success, "build/family": eleven, "build/family/11.8-debian12": eleven,
			"build/family/12.4-debian13": actions.Success, "publish": publish, "publish/publish": publish,
		}
		if publish == actions.Skipped {
			delete(all, "publish/publish") // it was not called
		}
		return all
	}
	registry.Arm(func(_ int, r *http.Request) registrytest.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/staging-4711.1-11.8-base-debian12") {
			return registrytest.Fault{Status: http.StatusForbidden, Body: `{"errors": [{"code": "DENIED", "message": "this will exceed the quota"}]}`}
		}
		return registrytest.Fault{}
	}, nil)
	before := g.must(t, file, nil, ends(actions.Failure, actions.Skipped))
	mustContain(t, "log", g.log.String(), "exceed the quota", "hint: the registry is full")
	staged(t, repository, "staging-4711.1-12.4-base-debian13")
	registry.Arm(nil, nil)
	g.must(t, file, before, ends(actions.Success, actions.Success))
	tags := g.promoted(t, repository)
	f.signed(t, repository, tags, k)
	g.Event = "pull_request"
	registry.Forget()
	all := ends(actions.Success, actions.Skipped)
	all["publish/publish"] = actions.Skipped // it was called, and looked itself
	g.must(t, file, nil, all)
	cached := map[string]bool{}
	for _, asked := range registry.Requests() {
		below, cache := strings.CutPrefix(asked.Path, "/v2/team/reusable-cache/")
		if !cache && asked.Path != "/v2/" || asked.Method != http.MethodGet && asked.Method != http.MethodHead {
			t.Errorf("a pull request asked the registry: %+v", asked)
		}
		cached[below] = cached[below] || asked.Status == http.StatusOK
	}
	for _, id := range []string{"11.8-base-debian12", "12.4-base-debian13"} {
		if !cached["manifests/"+id+"-amd64"] {
			t.Errorf("a pull request did not get the cache of %s: %v", id, cached)
		}
	}
	return tags
}
