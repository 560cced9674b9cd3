// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// updateStandIn writes a toolkit if $world/new is there, with more words than an argument takes, says what is gone
// if $world/gone is, and finds nothing amiss with Debian.
const updateStandIn = `#!/bin/sh
# Stand-in for cudabuild recipes update.
set -eu
echo "$*" >>'WORLD/log'
case $* in
  'recipes update --recipes recipes') if [ -e 'WORLD/new' ]; then cp 'WORLD/new' recipes/toolkit/99.1.0.yaml; echo 'new: CUDA 99.1.0'; seq 40000; fi
    if [ -e 'WORLD/gone' ]; then echo 'gone: libnccl2 1.2'; fi ;;
  "recipes update --check --os debian*") if [ -e 'WORLD/other' ]; then exit 1; fi ;;
  *) exit 2 ;;
esac
`

// ghStandIn keeps pull requests as lines of a file.
const ghStandIn = `#!/bin/sh
# Stand-in for gh.
set -eu
[ "$GH_TOKEN" = "the token of the run" ]
case $1-$2 in
  pr-list) touch 'WORLD/requests'; wc -l <'WORLD/requests' | tr -d ' ' ;;
  pr-create) echo "$*" >>'WORLD/requests' ;;
esac
`

// TestRecipesWorkflow: what is new becomes one pull request, and what another week finds replaces it.
func TestRecipesWorkflow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "schedule")
	in := func(text string) string { return strings.ReplaceAll(text, "WORLD", w.dir) }
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=x", "-c", "user.email=x@localhost"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	program(t, filepath.Join(w.dir, "cudabuild"), in(updateStandIn))
	program(t, filepath.Join(w.dir, "machine", "bin", "gh"), in(ghStandIn))
	own, server := filepath.Join(w.dir, "own"), filepath.Join(w.dir, "server", "Acme", "images")
	write(t, filepath.Join(own, "recipes", "toolkit", "99.0.0.yaml"), "old\n")
	write(t, filepath.Join(own, "Makefile"), in(makefile))
	git("init", "--quiet", "--initial-branch=main", own)
	git("-C", own, "add", ".")
	git("-C", own, "commit", "--quiet", "--message=all")
	git("clone", "--quiet", "--bare", own, server)
	w.Checkout = func(_, _, dir string) error {
		return exec.CommandContext(t.Context(), "git", "clone", "--quiet", own, dir).Run()
	}
	w.Env = append(w.Env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url."+w.dir+"/server/.insteadOf", "GIT_CONFIG_VALUE_0=https://x-access-token:the token of the run@github.com/")
	ends := map[string]string{"vendors": Success, "distributions": Success}
	week := func() (branches, requests string) {
		t.Helper()
		w.must(t, top+"/.github/workflows/recipes.yml", nil, ends)
		out, _ := exec.CommandContext(t.Context(), "cat", filepath.Join(w.dir, "requests")).Output() // none at first
		return git("-C", server, "branch", "--format=%(refname:short)"), string(out)
	}
	if branches, requests := week(); branches != "main" || requests != "" {
		t.Errorf("nothing new: branches %q, requests %q", branches, requests)
	}
	for i, text := range []string{"first\n", "second\n"} {
		write(t, filepath.Join(w.dir, "new"), text)
		branches, requests := week()
		if branches != "main\nrecipes-update" || strings.Count(requests, "\n") != 1 || !strings.Contains(requests, "--head recipes-update") {
			t.Errorf("week %d: branches %q, requests %q", i, branches, requests)
		}
		if got := git("-C", server, "show", "recipes-update:recipes/toolkit/99.1.0.yaml"); got != strings.TrimSpace(text) {
			t.Errorf("week %d: %q is on the branch", i, got)
		}
		if got := git("-C", server, "log", "--format=%s%n%b", "main..recipes-update"); !strings.HasPrefix(got, "recipes: ") || !strings.Contains(got, "new: CUDA 99.1.0") || strings.Count(got, "recipes: ") != 1 {
			t.Errorf("week %d: %q", i, got)
		}
	}
	write(t, filepath.Join(w.dir, "other"), "")
	ends["distributions"] = Failure
	week()
	write(t, filepath.Join(w.dir, "gone"), "")
	write(t, filepath.Join(w.dir, "new"), "third\n")
	ends["vendors"] = Failure
	week()
	if got := git("-C", server, "show", "recipes-update:recipes/toolkit/99.1.0.yaml"); got != "third" {
		t.Errorf("with something gone: %q is on the branch", got)
	}
}
