// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/require"
)

// These tests run the project's own workflows, and the one that `plan --emit github` writes,
// with a stand-in for cudabuild, which keeps names in a folder in place of a registry.

const (
	top     = "../../.."
	emitted = top + "/emit/testdata/golden/cuda-images.yml"
)

// standIn does what the workflows ask of cudabuild, with files: $world/registry has the tags.
const standIn = `#!/usr/bin/env bash
# Stand-in for cudabuild.
set -euo pipefail
world='WORLD'
echo "$*" >>"$world/log"
command=$1; shift
cells=() outputs=() to='' stage='' promote='' record=''
while [ $# -gt 0 ]; do
  case $1 in
    --only) cells+=("$2"); shift ;;
    -o) outputs+=("$2"); shift ;;
    --stage) stage=$2; shift ;;
    --promote) promote=$2; shift ;;
    --record) record=$2; shift ;;
    --sign-key) echo "$(stat -c %a "$2") $(cat "$2") $COSIGN_PASSWORD" >>"$world/keys"; shift ;;
    --file | --group | --recipes | --release | --ledger | --since | --cache-from | --cache-to) shift ;;
    --*) ;;
    *) to=$1 ;;
  esac
  shift
done
tag() { mkdir -p "$world/registry/$to" && touch "$world/registry/$to/$1"; }
case $command in
  version) echo 'cudabuild v0.2.0 (stand-in)' ;;
  plan) cat "$world/plan.json" ;;
  report)
    for output in "${outputs[@]}"; do echo 'a report (stand-in)' >"$output"; done
    exit 3 ;;
  matrix)
    mkdir -p out
    for cell in "${cells[@]}"; do
      if [ -e "$world/exit-$cell" ]; then exit "$(cat "$world/exit-$cell")"; fi
      echo "$cell" >>out/run.json
    done ;;
  push)
    if [ -e "$world/exit-push" ]; then exit "$(cat "$world/exit-push")"; fi
    grep -q "\"${to%%/*}\"" "${DOCKER_CONFIG:-$HOME/.docker}/config.json" || exit 3
    if [ -n "$stage" ]; then
      for cell in "${cells[@]}"; do grep -qx "$cell" out/run.json && tag "staging-$stage-$cell"; done
    elif [ -n "$promote" ]; then
      staged=$(cd "$world/registry/$to" && ls -d "staging-$promote-"*)
      for cell in $(cat "$record"/*/run.json); do grep -qx "staging-$promote-$cell" <<<"$staged" || exit 3; tag "$cell"; done
      mkdir -p out/push && touch "out/push/$promote.jsonl"
    else
      for cell in "${cells[@]}"; do grep -qx "$cell" out/run.json && tag "$cell"; done
    fi ;;
esac
`

// gpuStandIn makes bundles whose samples end as $world/exit-gpu says.
const gpuStandIn = `#!/bin/sh
# Stand-in for cudabuild-gpu.
set -eu
[ "$1" != version ] || exec 'WORLD/cudabuild' version
echo "$*" >>'WORLD/log'
[ "$1" = gpu ] && grep -q '"ghcr.io"' "${DOCKER_CONFIG:-$HOME/.docker}/config.json"
mkdir -p cudabuild-gpu && printf '#!/bin/sh\nmkdir -p "$4" && echo "$*" >"$4/row.json"; exit %s\n' "$(cat 'WORLD/exit-gpu')" >cudabuild-gpu/run
chmod +x cudabuild-gpu/run && tar -czf "$3" cudabuild-gpu
`

// makefile stands in for the project's own.
const makefile = `deps emulator: ; @echo "$@" >>'WORLD/log'
build bin/buildkitd bin/runc: ; @mkdir -p bin && cp 'WORLD/cudabuild' bin/cudabuild
.PHONY: deps emulator build bin/buildkitd bin/runc
`

// world is a machine with the stand-in, and what it leaves.
type world struct {
	*Machine

	dir string
	log bytes.Buffer
}

func newWorld(t *testing.T, event string) *world {
	t.Helper()
	for _, program := range []string{"bash", "jq", "make", "tar", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			require.Missing(t, program, err)
		}
	}
	w := &world{dir: t.TempDir()}
	project, user := filepath.Join(w.dir, "project"), filepath.Join(w.dir, "user")
	in := func(text string) string { return strings.ReplaceAll(text, "WORLD", w.dir) }
	program(t, filepath.Join(w.dir, "cudabuild"), in(standIn))
	program(t, filepath.Join(w.dir, "cudabuild-gpu"), in(gpuStandIn))
	program(t, filepath.Join(project, "scripts", "deps.sh"), in("#!/bin/sh\necho deps.sh \"$@\" >>'WORLD/log'\n"))
	program(t, filepath.Join(project, "scripts", "emulator.sh"), in("#!/bin/sh\necho emulator >>'WORLD/log'\n"))
	write(t, filepath.Join(project, "Makefile"), in(makefile))
	write(t, filepath.Join(project, "action.yml"), read(t, top+"/action.yml"))
	write(t, filepath.Join(user, "matrix.yaml"), "version: 1\n")
	write(t, filepath.Join(w.dir, "log"), "")
	w.Machine = &Machine{
		Dir: filepath.Join(w.dir, "machine"), Repository: "Acme/images", Event: event, Log: &w.log,
		Env: []string{"LANG=C"}, Vars: map[string]string{}, Secrets: map[string]string{},
		Workflows: map[string]string{"cudabuild/cudabuild/": top},
		Checkout: func(repository, _, dir string) error {
			from := project
			if repository == "" {
				from = user
			}
			return os.CopyFS(dir, os.DirFS(from))
		},
	}
	return w
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func program(t *testing.T, file, text string) {
	t.Helper()
	write(t, file, text)
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// must runs a workflow and compares how its jobs ended.
func (w *world) must(t *testing.T, file string, before Results, want map[string]string) Results {
	t.Helper()
	results, err := w.RunAgain(t.Context(), file, before)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log.String())
	}
	if diff := cmp.Diff(want, results.Ends()); diff != "" {
		t.Fatalf("jobs (-want +got):\n%s\n%s", diff, w.log.String())
	}
	return results
}

// asked are the command lines of the stand-in that begin so.
func (w *world) asked(t *testing.T, prefix string) (lines []string) {
	t.Helper()
	for line := range strings.Lines(read(t, filepath.Join(w.dir, "log"))) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// tags are those of a repository, staging aside.
func (w *world) tags(t *testing.T, repository string) (tags, staging []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.dir, "registry", repository))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "staging-") {
			staging = append(staging, e.Name())
		} else {
			tags = append(tags, e.Name())
		}
	}
	return tags, staging
}

// family has the ends of the emitted workflow's jobs.
func ends(family, eleven, publish string) map[string]string {
	return map[string]string{
		"tools": Success, "family": family, "family/11.2-debian11": Success, "family/11.8-debian12": eleven, "family/12.4-debian13": Success,
		"publish": publish,
	}
}

// TestEmitted: every family stages its cells, and one job moves all tags.
func TestEmitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "push")
	w.must(t, emitted, nil, ends(Success, Success, Success))
	tags, staging := w.tags(t, "ghcr.io/acme/cuda")
	if len(tags) != 15 || len(staging) != 15 || !slices.Contains(staging, "staging-4711.1-12.4-base-debian13") {
		t.Errorf("tags %v, staging %v, want 15 of each", tags, staging)
	}
	if n := len(w.asked(t, "matrix")); n != 3 {
		t.Errorf("%d runs of matrix, want one for each of 3 families", n)
	}
	promotes := w.asked(t, "push ghcr.io/acme/cuda --file matrix.yaml --group debian --recipes my recipes --release 26.11 --promote 4711.1 --record runs")
	if len(promotes) != 1 {
		t.Errorf("promotions: %q", w.asked(t, "push"))
	}
	w.leavesJournal(t)
	w.leavesReports(t, []string{"11.2-debian11", "11.8-debian12", "12.4-debian13"})
}

// leavesReports holds that each family has a page of its own, and all of them one with what is in the registry, also of
// a report that lacks something.
func (w *world) leavesReports(t *testing.T, families []string) {
	t.Helper()
	names := []string{"report"}
	for _, family := range families {
		names = append(names, "run-"+family)
	}
	for _, name := range names {
		if got := read(t, filepath.Join(w.artifacts(), name, "report.html")); got != "a report (stand-in)\n" {
			t.Errorf("%s has %q", name, got)
		}
	}
	if got := w.asked(t, "report -o report.html -o report.md runs ghcr.io/acme/cuda"); len(got) != 1 {
		t.Errorf("asked %q, want one report of all families", w.asked(t, "report"))
	}
}

// lastStandIn has a run that succeeded, whose artifacts are those that the workflow left before.
const lastStandIn = `#!/bin/sh
# Stand-in for gh.
set -eu
[ "$GH_TOKEN $GH_REPO" = 'the token of the run Acme/images' ]
case $* in
  'run list -w cuda.yml -b main -s success -L 1 --json databaseId -q .[].databaseId') echo 4710 ;;
  'run download 4710 -p run-* -D last') mkdir last && cp -r 'WORLD/machine/artifacts/'run-* last ;;
  *) exit 2 ;;
esac
`

// TestSince: the report of a run says what changed since the one before.
func TestSince(t *testing.T) {
	t.Parallel()
	for name, reusable := range map[string]bool{"emitted": false, "reusable": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "schedule")
			file, want := emitted, ends(Success, Success, Success)
			if reusable {
				file, want = w.user(t), called(Success)
			}
			w.must(t, file, nil, want)
			program(t, filepath.Join(w.dir, "machine", "bin", "gh"), strings.ReplaceAll(lastStandIn, "WORLD", w.dir))
			w.must(t, file, nil, want)
			got := w.asked(t, "report -o report.html")
			for i, command := range []string{"runs ghcr.io/acme/cuda", "runs --since last ghcr.io/acme/cuda"} {
				if len(got) != 2 || got[i] != "report -o report.html -o report.md "+command {
					t.Errorf("asked %q, want one report of each run, and that of the second since the first", got)
				}
			}
		})
	}
}

// leavesJournal holds that the artifact push is a folder for `push --out DIR --undo`.
func (w *world) leavesJournal(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(w.artifacts(), "push", "push", "4711.1.jsonl")); err != nil {
		t.Error(err)
	}
}

// TestEmittedPullRequest: what is not merged is built, and nothing of it leaves the machine.
func TestEmittedPullRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "pull_request")
	w.must(t, emitted, nil, ends(Success, Success, Skipped))
	if pushes := w.asked(t, "push"); len(pushes) > 0 || len(w.asked(t, "matrix")) != 3 {
		t.Errorf("asked: %q", w.asked(t, ""))
	}
}

// TestEmittedFailure: a base that fails stops its own family and every tag. When the jobs
// that failed are run again, those that passed are not, and what they staged still counts.
func TestEmittedFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "push")
	broken := filepath.Join(w.dir, "exit-11.8-base-debian12")
	write(t, broken, "1")
	first := w.must(t, emitted, nil, ends(Failure, Failure, Skipped))
	if tags, staging := w.tags(t, "ghcr.io/acme/cuda"); len(tags) != 0 || len(staging) != 10 {
		t.Errorf("tags %v, staging %v, want none and 10", tags, staging)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	w.must(t, emitted, first, ends(Success, Success, Success))
	if tags, staging := w.tags(t, "ghcr.io/acme/cuda"); len(tags) != 15 || len(staging) != 15 {
		t.Errorf("run again: tags %v, staging %v, want 15 of each", tags, staging)
	}
	if n := len(w.asked(t, "matrix")); n != 4 {
		t.Errorf("%d runs of matrix, want 3 and one again", n)
	}
}

// TestEmittedElsewhere: the token of the run is for ghcr.io alone; another registry takes the
// repository's own login.
func TestEmittedElsewhere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "workflow.yml")
	text := read(t, emitted)
	elsewhere := strings.Replace(text, `REGISTRY: "ghcr.io"`, `REGISTRY: "quay.io"`, 1)
	if elsewhere == text {
		t.Fatal("no registry in the workflow")
	}
	write(t, file, elsewhere)
	w := newWorld(t, "push")
	all := ends(Failure, Failure, Skipped)
	all["family/11.2-debian11"], all["family/12.4-debian13"] = Failure, Failure
	w.must(t, file, nil, all)
	if strings.Contains(w.log.String(), "the token of the run") || len(w.asked(t, "push")) > 0 {
		t.Errorf("without a password: asked %q", w.asked(t, "push"))
	}
	w.Secrets["REGISTRY_PASSWORD"], w.Vars["REGISTRY_USERNAME"] = "secret", "robot"
	w.must(t, file, nil, ends(Success, Success, Success))
	if tags, _ := w.tags(t, "quay.io/acme/cuda"); len(tags) != 15 {
		t.Errorf("tags at quay.io: %v", tags)
	}
}

// TestEmittedRows: rows of GPU hosts that another job has left reach the gates.
func TestEmittedRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "push")
	write(t, filepath.Join(w.artifacts(), "rows-535", "row.json"), "[]")
	w.must(t, emitted, nil, ends(Success, Success, Success))
	if got := w.asked(t, "push"); !strings.Contains(got[len(got)-1], " --ledger rows --promote 4711.1 --record runs") {
		t.Errorf("asked %q", got)
	}
	if got := w.asked(t, "report -o report.html -o report.md runs rows ghcr.io/acme/cuda"); len(got) != 1 {
		t.Errorf("asked %q, want a report with rows", w.asked(t, "report"))
	}
}

const privateKey = "-----BEGIN PRIVATE KEY-----\na key\n-----END PRIVATE KEY-----"

// signed holds that each of so many pushes has signed with the key, and that no machine has kept it.
func (w *world) signed(t *testing.T, pushes int) {
	t.Helper()
	keys := filepath.Join(w.dir, "keys")
	if got, want := read(t, keys), strings.Repeat("600 "+privateKey+" its password\n", pushes); got != want {
		t.Errorf("signed with\n%swant\n%s", got, want)
	}
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	w.keepsNoKey(t)
}

func (w *world) keepsNoKey(t *testing.T) {
	t.Helper()
	for _, secret := range []string{"a key", "its password"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, w.log.String())
		}
		if out, err := exec.Command("grep", "-rl", secret, w.dir).Output(); len(out) > 0 || err == nil {
			t.Errorf("%q is in %s", secret, out)
		}
	}
}

// TestSigned: jobs that push get the key in a file that only they can read, and that is gone when
// the push has ended, whatever its end. Others have no such file.
func TestSigned(t *testing.T) {
	t.Parallel()
	secrets := "\n    secrets: {sign-key: \"${{ secrets.SIGN_KEY }}\", sign-password: \"${{ secrets.SIGN_PASSWORD }}\"}\n"
	for name, test := range map[string]struct {
		file     func(w *world) string
		families int
	}{
		"emitted": {func(*world) string { return emitted }, 3},
		"reusable": {func(w *world) string {
			text := strings.Replace(read(t, w.user(t)), "\n  publish:\n", secrets+"  publish:\n", 1)
			return w.write(t, strings.TrimRight(text, "\n")+secrets)
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "pull_request")
			w.Secrets["SIGN_KEY"], w.Secrets["SIGN_PASSWORD"] = privateKey, "its password"
			file := test.file(w)
			run := func(event, exit string) {
				w.Event = event
				write(t, filepath.Join(w.dir, "exit-push"), exit)
				if _, err := w.Run(t.Context(), file); err != nil {
					t.Fatalf("%v\n%s", err, w.log.String())
				}
			}
			run("pull_request", "0")
			w.keepsNoKey(t)
			run("push", "1")
			w.signed(t, test.families)
			run("push", "0")
			w.signed(t, test.families+1)
		})
	}
}

// TestCacheOfDefaultBranch: every build reads the cache, and only one of the default branch writes it:
// what others have built must not become part of an image that is published.
func TestCacheOfDefaultBranch(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]func(w *world) string{
		"emitted": func(*world) string { return emitted }, "reusable": func(w *world) string { return w.user(t) },
	} {
		for _, run := range []struct {
			event, ref string
			writes     bool
		}{
			{"push", "refs/heads/main", true},
			{"schedule", "refs/heads/main", true},
			{"push", "refs/heads/other", false},
			{"push", "refs/tags/main", false},
			{"workflow_dispatch", "refs/heads/other", false},
			{"pull_request", "refs/pull/1/merge", false},
			{"pull_request_target", "refs/heads/main", false},
			{"merge_group", "refs/heads/gh-readonly-queue/main/pr-1", false},
		} {
			t.Run(name+" "+run.event+" "+run.ref, func(t *testing.T) {
				w := newWorld(t, run.event)
				w.Ref = run.ref
				if _, err := w.Run(t.Context(), file(w)); err != nil {
					t.Fatalf("%v\n%s", err, w.log.String())
				}
				builds := w.asked(t, "matrix")
				for _, line := range builds {
					if reads := strings.Contains(line, "--cache-from ghcr.io/acme/cuda-cache"); !reads || strings.Contains(line, "--cache-to ghcr.io/acme/cuda-cache") != run.writes {
						t.Errorf("%s: want the cache read, and written: %v", line, run.writes)
					}
				}
				if len(builds) == 0 {
					t.Errorf("nothing was built:\n%s", w.log.String())
				}
			})
		}
	}
}

// user is the workflow of somebody else that docs/ci.md shows, and the archive of a release
// that it takes.
func (w *world) user(t *testing.T) (file string) {
	t.Helper()
	text, err := Example(top + "/docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	if readme, err := Example(top + "/README.md"); err != nil || text != readme {
		t.Errorf("README.md and docs/ci.md show two workflows (%v):\n%s", err, cmp.Diff(text, readme))
	}
	if n := strings.Count(text, "\n"); n >= 25 {
		t.Errorf("the workflow of a user has %d lines, want less than 25", n)
	}
	sum := w.release(t)
	write(t, filepath.Join(w.dir, "plan.json"), fmt.Sprintf(`{"version":1,"cells":[%s,%s,%s],"problems":[]}`,
		cell("12.4", "base", "debian13", ""), cell("12.4", "nbody", "debian13", "nbody"),
		strings.Replace(cell("11.8", "base", "debian12", ""), `["linux/amd64"]`, `["linux/amd64","linux/arm64"]`, 1)))
	return w.write(t, strings.Replace(text, `"`+strings.Repeat("0", 64)+`"`, sum+"\n      from: file://"+w.dir+"/releases", 1))
}

// release makes the archive of a release, with stand-ins, and returns its SHA-256.
func (w *world) release(t *testing.T) string {
	t.Helper()
	var archive bytes.Buffer
	zip := gzip.NewWriter(&archive)
	files := tar.NewWriter(zip)
	for _, name := range []string{"cudabuild", "cudabuild-gpu", "buildkitd", "runc", "nvidia-cdi-hook", "deps.sh", "emulator.sh"} {
		from := filepath.Join(w.dir, "cudabuild")
		switch name {
		case "cudabuild-gpu":
			from = filepath.Join(w.dir, name)
		case "deps.sh", "emulator.sh":
			from = filepath.Join(w.dir, "project", "scripts", name)
		}
		data := read(t, from)
		if err := files.WriteHeader(&tar.Header{Name: "cudabuild-v0.2.0-linux-amd64/" + name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	files.Close()
	zip.Close()
	write(t, filepath.Join(w.dir, "releases", "v0.2.0", "cudabuild-v0.2.0-linux-amd64.tar.gz"), archive.String())
	sum := sha256.Sum256(archive.Bytes())
	return hex.EncodeToString(sum[:])
}

func (w *world) write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cuda.yml")
	write(t, file, text)
	return file
}

func cell(cuda, kind, os, sample string) string {
	return fmt.Sprintf(`{"id":"%[1]s-%[2]s-%[3]s","cuda":"%[1]s","os":"%[3]s","sample":"%[4]s","platforms":["linux/amd64"],"tags":["cuda:%[1]s-%[2]s-%[3]s"]}`, cuda, kind, os, sample)
}

func called(publish string) map[string]string {
	ends := map[string]string{
		"build": Success, "build/plan": Success, "build/family": Success, "build/family/11.8-debian12": Success, "build/family/12.4-debian13": Success,
		"publish": publish, "publish/publish": publish,
	}
	return ends
}

// TestReusable runs the whole workflow that the documentation shows.
func TestReusable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "push")
	w.must(t, w.user(t), nil, called(Success))
	tags, staging := w.tags(t, "ghcr.io/acme/cuda")
	want := []string{"11.8-base-debian12", "12.4-base-debian13", "12.4-nbody-debian13"}
	if diff := cmp.Diff(want, tags); diff != "" || len(staging) != 3 {
		t.Errorf("staging %v, tags (-want +got):\n%s", staging, diff)
	}
	if got := w.asked(t, "deps.sh run"); len(got) != 3 {
		t.Errorf("asked %q, want the packages of each machine", got)
	}
	if got := w.asked(t, "emulator"); len(got) != 1 {
		t.Errorf("asked %q, want an emulator for the family of two platforms", got)
	}
	w.leavesJournal(t)
	w.leavesReports(t, []string{"11.8-debian12", "12.4-debian13"})
}

// TestReusablePullRequest: not merged, not pushed, whatever the user forgets to say.
func TestReusablePullRequest(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"pull_request", "pull_request_target", "merge_group"} {
		w := newWorld(t, event)
		w.must(t, w.user(t), nil, called(Skipped))
		if got := w.asked(t, "push"); len(got) > 0 {
			t.Errorf("%s: asked %q", event, got)
		}
	}
}

// TestReusableInputs: what a user says reaches each command as it was said.
func TestReusableInputs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "schedule")
	text := read(t, w.user(t))
	text = strings.Replace(text, "to: ghcr.io/acme/cuda", `to: ghcr.io/Acme/CUDA
      file: sub dir/matrix.yaml
      group: $(touch injected)
      only: "12.4-*  *-base-*"
      recipes: "my recipes\nothers"
      release: "26.11"`, 1)
	w.must(t, w.write(t, text), nil, called(Success))
	flags := "--file sub dir/matrix.yaml --group $(touch injected) --recipes my recipes --recipes others --release 26.11"
	for _, want := range []string{
		"plan --json " + flags + " --only 12.4-* --only *-base-*",
		"matrix " + flags + " --only 11.8-base-debian12",
		"push ghcr.io/acme/cuda " + flags + " --stage 4711.1 --only 11.8-base-debian12",
		"push ghcr.io/acme/cuda " + flags + " --only 12.4-* --only *-base-* --promote 4711.1 --record runs",
	} {
		if len(w.asked(t, want)) != 1 {
			t.Errorf("not asked: %s\nbut %s", want, strings.Join(w.asked(t, ""), "\n    "))
		}
	}
}

// TestReusableChecksum: another archive than the one that was named is not unpacked.
func TestReusableChecksum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "push")
	file := w.user(t)
	write(t, filepath.Join(w.dir, "releases", "v0.2.0", "cudabuild-v0.2.0-linux-amd64.tar.gz"), "another")
	w.must(t, file, nil, map[string]string{"build": Failure, "build/plan": Failure, "build/family": Skipped, "publish": Skipped})
	if !strings.Contains(w.log.String(), "cudabuild-v0.2.0-linux-amd64.tar.gz has the SHA-256 ") || len(w.asked(t, "")) > 0 {
		t.Errorf("asked %q\n%s", w.asked(t, ""), w.log.String())
	}
}

// TestReusableMany: a matrix has 256 jobs at most; more families share them.
func TestReusableMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "pull_request")
	// The machines of families are missing something, which spares the test their work.
	program(t, filepath.Join(w.dir, "project", "scripts", "deps.sh"), "#!/bin/sh\ncase $0 in */cudabuild-v0.2.0-linux-amd64/*) ;; *) exit 3 ;; esac\n")
	file := w.user(t)
	var cells []string
	for i := range 300 {
		cells = append(cells, cell("1.0", "base", fmt.Sprintf("os%d", i), ""))
	}
	write(t, filepath.Join(w.dir, "plan.json"), `{"version":1,"cells":[`+strings.Join(cells, ",")+`],"problems":[]}`)
	results, err := w.Run(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	build := Results(results.find("build").Below)
	var families []struct{ Family, Cells string }
	if err := json.Unmarshal([]byte(build.find("build/plan").Outputs["families"]), &families); err != nil {
		t.Fatal(err)
	}
	built, names := 0, map[string]bool{}
	for _, f := range families {
		built += len(strings.Fields(f.Cells))
		names[f.Family] = true
	}
	if jobs := build.find("build/family").Below; built != 300 || len(names) != 256 || len(jobs) != 256 {
		t.Errorf("%d cells in %d families of %d jobs, want 300 in 256", built, len(names), len(jobs))
	}
}

// TestReusableGPU: samples go to the machines with GPUs as they were staged, and their rows
// to the gates; a sample that fails keeps the tags where they are.
func TestReusableGPU(t *testing.T) {
	t.Parallel()
	for code, publish := range map[string]string{"0": Success, "1": Skipped} {
		w := newWorld(t, "push")
		text := strings.Replace(read(t, w.user(t)), "  publish:\n    needs: build\n", `  gpu:
    needs: build
    uses: cudabuild/cudabuild/.github/workflows/gpu-run.yml@v0.2.0
    with: {build: "${{ needs.build.outputs.build }}", drivers: '["535", "580"]'}
  publish:
    needs: [build, gpu]
`, 1)
		write(t, filepath.Join(w.dir, "exit-gpu"), code)
		want := called(publish)
		want["gpu"], want["gpu/bundle"], want["gpu/run"], want["gpu/run/535"], want["gpu/run/580"] = Success, Success, Success, Success, Success
		if publish == Skipped {
			want["gpu"], want["gpu/run"], want["gpu/run/535"], want["gpu/run/580"] = Failure, Failure, Failure, Failure
			delete(want, "publish/publish")
		}
		w.must(t, w.write(t, text), nil, want)
		if got := w.asked(t, "gpu --bundle bundle-12.4-debian13.tar.gz ghcr.io/acme/cuda:staging-4711.1-12.4-nbody-debian13"); len(got) != 1 {
			t.Errorf("asked %q", w.asked(t, "gpu"))
		}
		if promoted := w.asked(t, "push ghcr.io/acme/cuda --file matrix.yaml --group default --promote 4711.1 --ledger rows --record runs"); (len(promoted) == 1) != (publish == Success) {
			t.Errorf("samples end with %s: asked %q", code, w.asked(t, "push"))
		}
	}
}

// TestNVIDIA: where a repository cannot be reached, the step of that cell ends with 3, and
// the others go on.
func TestNVIDIA(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "schedule")
	w.Checkout = func(_, _, dir string) error { return os.CopyFS(dir, os.DirFS(filepath.Join(w.dir, "project"))) }
	write(t, filepath.Join(w.dir, "exit-9.0-base-centos7"), "3")
	results, err := w.Run(t.Context(), top+"/.github/workflows/nvidia.yml")
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log.String())
	}
	ended := results.Ends()
	if ended["build/9.0-base-centos7"] != Failure || ended["build/9.0-base-ubuntu16.04"] != Success || !strings.Contains(w.log.String(), "the script ended with 3") {
		t.Errorf("%v\n%s", ended, w.log.String())
	}
	if tags, _ := w.tags(t, "ghcr.io/acme/cuda"); len(tags) != 3 || slices.Contains(tags, "9.0-base-centos7") {
		t.Errorf("tags %v", tags)
	}
}

// TestRelease: what two machines made is tried, compared and uploaded; other bits are not.
func TestRelease(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ second, publish string }{
		"same bits":  {"", Success},
		"other bits": {"; mkdir WORLD/once || echo other >>out/release/cudabuild-v0.2.0-linux-amd64.tar.gz", Failure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "push")
			w.Ref = "refs/tags/v0.2.0"
			project := filepath.Join(w.dir, "project")
			w.Checkout = func(_, _, dir string) error { return os.CopyFS(dir, os.DirFS(project)) }
			write(t, filepath.Join(w.dir, "releases", "v0.2.0", "SHA256SUMS"), w.release(t)+"  cudabuild-v0.2.0-linux-amd64.tar.gz\n")
			write(t, filepath.Join(project, "CHANGELOG.md"), "# Changelog\n\n## Unreleased\n\n- not yet\n\n## 0.2.0\n\n- releases\n\n## 0.1.0\n\n- before\n")
			write(t, filepath.Join(project, "Makefile"), strings.ReplaceAll(`release: ; @mkdir out && cp -r "WORLD/releases/$$VERSION" out/release`+test.second, "WORLD", w.dir))
			program(t, filepath.Join(w.Dir, "bin", "gh"), "#!/bin/sh\necho gh \"$@\" >>'"+w.dir+"/log'\ncat out/notes >>'"+w.dir+"/log'\n")
			w.must(t, top+"/.github/workflows/release.yml", nil, map[string]string{
				"make": Success, "make/first": Success, "make/second": Success,
				"try": Success, "try/ubuntu-24.04": Success, "try/ubuntu-24.04-arm": Success,
				"publish": test.publish,
			})
			files := "out/first/SHA256SUMS out/first/cudabuild-v0.2.0-linux-amd64.tar.gz"
			published := w.asked(t, "gh release create v0.2.0 --verify-tag --title v0.2.0 --notes-file out/notes "+files)
			if (len(published) == 1) != (test.publish == Success) {
				t.Errorf("asked %q", w.asked(t, ""))
			}
			if notes := w.asked(t, "- "); test.publish == Success && !slices.Equal(notes, []string{"- releases"}) {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

// TestNoExpressionsInScripts: GitHub fills in ${{ }} before a shell sees any quotes, so what
// others may name reaches scripts through the environment alone.
func TestNoExpressionsInScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(top + "/.github/workflows/*.yml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, emitted, top+"/action.yml") {
		w, err := load(file)
		if err != nil {
			t.Fatal(err)
		}
		steps := w.Runs.Steps
		for _, j := range w.Jobs {
			steps = append(steps, j.Steps...)
		}
		if len(steps) == 0 {
			t.Errorf("%s: no step", file)
		}
		for _, s := range steps {
			if strings.Contains(s.Run, "${{") {
				t.Errorf("%s: an expression in a script: %s", file, s.Run)
			}
		}
	}
}
