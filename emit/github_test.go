// SPDX-License-Identifier: Apache-2.0

package emit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/emit"
	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// workflow is what these tests read of a workflow. Its schema is held by `make lint`,
// which runs actionlint over the golden one; internal/standin/actions runs it.
type workflow struct {
	Env  map[string]string `yaml:"env"`
	Jobs map[string]struct {
		Needs       needs             `yaml:"needs"`
		Permissions map[string]string `yaml:"permissions"`
		Strategy    struct {
			Matrix struct {
				Include []map[string]string `yaml:"include"`
			} `yaml:"matrix"`
		} `yaml:"strategy"`
	} `yaml:"jobs"`
}

// needs is one job, or a list of them.
type needs []string

func (n *needs) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*n = needs{node.Value}
		return nil
	}
	return node.Decode((*[]string)(n))
}

// commit is cudabuild's in these tests.
const commit = "0123456789abcdef0123456789abcdef01234567"

func github(t *testing.T, cells []matrix.Cell) (text string, w workflow) {
	t.Helper()
	files, err := emit.GitHub(cells, emit.Origin{File: "matrix.yaml", Group: "debian", Recipes: []string{"my recipes"}, Release: "26.11", Commit: commit})
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := yaml.Unmarshal([]byte(files[0].Text), &w); err != nil {
		t.Fatal(err)
	}
	return files[0].Text, w
}

func TestGoldenGitHub(t *testing.T) {
	t.Parallel()
	text, _ := github(t, cells(t, catalog(t)))
	golden.Check(t, filepath.Join("testdata", "golden", "cuda-images.yml"), text)
}

// TestFamilies: every cell is built once, all of a family in one job that waits for no
// other family, and the job that moves tags waits for all of them.
func TestFamilies(t *testing.T) {
	t.Parallel()
	all := everyCell(t, catalog(t))
	_, w := github(t, all)
	in, jobs := map[string]string{}, []string{"tools"} // family of each cell
	for name, job := range w.Jobs {
		if !strings.HasPrefix(name, "family") {
			continue
		}
		jobs = append(jobs, name)
		if n := len(job.Strategy.Matrix.Include); n > 256 {
			t.Errorf("job %s: %d entries, want 256 at most", name, n)
		}
		if diff := cmp.Diff(needs{"tools"}, job.Needs); diff != "" {
			t.Errorf("job %s (-want needs +got):\n%s", name, diff)
		}
		for _, entry := range job.Strategy.Matrix.Include {
			for id := range strings.FieldsSeq(entry["cells"]) {
				if in[id] != "" {
					t.Errorf("cell %s is in %s and in %s", id, in[id], entry["family"])
				}
				in[id] = entry["family"]
			}
		}
	}
	for _, c := range all {
		if want := c.CUDA + "-" + c.OS; in[c.ID] != want {
			t.Errorf("cell %s is in family %q, want %q", c.ID, in[c.ID], want)
		}
	}
	publish := w.Jobs["publish"].Needs
	slices.Sort(publish)
	slices.Sort(jobs)
	if diff := cmp.Diff(needs(jobs), publish); diff != "" {
		t.Errorf("needs of publish (-want +got):\n%s", diff)
	}
}

// TestManyJobs: more families than one matrix may have go on in another job.
func TestManyJobs(t *testing.T) {
	t.Parallel()
	var many []matrix.Cell
	for i := range 600 {
		os := fmt.Sprintf("os%d", i)
		many = append(many, matrix.Cell{ID: "1.0-base-" + os, OS: os, CUDA: "1.0", Flavor: "base", Tags: []string{"cuda:1.0-base-" + os}},
			matrix.Cell{ID: "1.0-runtime-" + os, OS: os, CUDA: "1.0", Flavor: "runtime", Parent: "1.0-base-" + os})
	}
	_, w := github(t, many)
	sizes := map[string]int{}
	for name, job := range w.Jobs {
		sizes[name] = len(job.Strategy.Matrix.Include)
	}
	want := map[string]int{"tools": 0, "family": 256, "family-2": 256, "family-3": 88, "publish": 0}
	if diff := cmp.Diff(want, sizes); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}

// TestDestination: a workflow says at its top where images go, in the words that a login
// and a push need. A name that no registry and no owner stands in is the owner's own.
func TestDestination(t *testing.T) {
	t.Parallel()
	own := "${{ github.repository_owner }}/"
	for _, tc := range []struct{ tag, to, registry, repository string }{
		{"cuda:12.4-base-debian13", "", "ghcr.io", own + "cuda"},
		{"acme/cuda:12.4-base-debian13", "", "docker.io", "acme/cuda"},
		{"ghcr.io/acme/cuda:12.4-base-debian13", "", "ghcr.io", "acme/cuda"},
		{"localhost:5000/team/gpu/cuda:12.4-base-debian13", "", "localhost:5000", "team/gpu/cuda"},
		{"localhost/cuda:12.4-base-debian13", "", "localhost", "cuda"},
		{"cuda:12.4-base-debian13", "registry:5000/team/cuda", "registry:5000", "team/cuda"},
		{"ghcr.io/acme/cuda:12.4-base-debian13", "quay.io/acme/gpu", "quay.io", "acme/gpu"},
	} {
		cells := []matrix.Cell{{ID: "12.4-base-debian13", OS: "debian13", CUDA: "12.4", Flavor: recipes.Base, Tags: []string{tc.tag}}}
		files, err := emit.GitHub(cells, emit.Origin{File: "matrix.yaml", Group: "default", To: tc.to})
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		if err := yaml.Unmarshal([]byte(files[0].Text), &w); err != nil {
			t.Fatal(err)
		}
		if w.Env["REGISTRY"] != tc.registry || w.Env["REPOSITORY"] != tc.repository {
			t.Errorf("tag %s, to %q: %q and %q, want %q and %q", tc.tag, tc.to, w.Env["REGISTRY"], w.Env["REPOSITORY"], tc.registry, tc.repository)
		}
	}
}

// TestPermissions: no job may write but those that push, and these no more than packages. What ran before is read by the one that reports.
func TestPermissions(t *testing.T) {
	t.Parallel()
	_, w := github(t, cells(t, catalog(t)))
	want := map[string]map[string]string{
		"tools": nil, "family": {"contents": "read", "packages": "write"}, "publish": {"actions": "read", "contents": "read", "packages": "write"},
	}
	got := map[string]map[string]string{}
	for name, job := range w.Jobs {
		got[name] = job.Permissions
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
}

// TestEmulated: families for other processors are the ones that ask for an emulator.
func TestEmulated(t *testing.T) {
	t.Parallel()
	var cells []matrix.Cell
	for os, platforms := range map[string][]string{"debian12": {"linux/amd64"}, "debian13": {"linux/amd64", "linux/arm64"}, "ubuntu24.04": {"linux/arm64"}} {
		id := "12.4-base-" + os
		cells = append(cells, matrix.Cell{ID: id, OS: os, CUDA: "12.4", Flavor: recipes.Base, Tags: []string{"cuda:" + id}, Platforms: platforms})
	}
	_, w := github(t, cells)
	for _, e := range w.Jobs["family"].Strategy.Matrix.Include {
		if got, want := e["emulated"] == "true", e["family"] != "12.4-debian12"; got != want {
			t.Errorf("%s: emulated %t, want %t", e["family"], got, want)
		}
	}
}

// TestOnly: the job that moves tags asks for the cells that were chosen, and for no other
// of the group, which nobody has staged.
func TestOnly(t *testing.T) {
	t.Parallel()
	files, err := emit.GitHub(cells(t, catalog(t)), emit.Origin{File: "matrix.yaml", Group: "debian", Only: []string{"12.4-*", "*-base-*"}})
	if err != nil {
		t.Fatal(err)
	}
	want := `--file 'matrix.yaml' --group 'debian' --only '12.4-*' --only '*-base-*' "$@" --promote "$RUN"`
	if !strings.Contains(files[0].Text, want) {
		t.Errorf("no %s in\n%s", want, files[0].Text)
	}
}

// TestOwnCommit: the tools are built from the commit that made the workflow, where that
// is known, and each job's matrix and recipes are those of the run's own commit.
func TestOwnCommit(t *testing.T) {
	t.Parallel()
	known, _ := github(t, cells(t, catalog(t)))
	files, err := emit.GitHub(cells(t, catalog(t)), emit.Origin{File: "matrix.yaml", Group: "debian"})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(known, "ref: "); n != 1 || !strings.Contains(known, "{repository: cudabuild/cudabuild, ref: "+commit+", ") {
		t.Errorf("%d checkouts have a ref, want that of cudabuild alone, %s", n, commit)
	}
	if strings.Contains(files[0].Text, ", ref: ") || !strings.Contains(files[0].Text, "The newest cudabuild") {
		t.Error("without a commit the workflow does not say that it takes the newest")
	}
}

// TestActionsArePinned: to the commits that this project's own workflows use.
func TestActionsArePinned(t *testing.T) {
	t.Parallel()
	uses := regexp.MustCompile(`uses: \S+@[0-9a-f]{40} # v[0-9.]+`)
	var own []string
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, uses.FindAllString(string(data), -1)...)
	}
	text, _ := github(t, cells(t, catalog(t)))
	pinned := uses.FindAllString(text, -1)
	if len(pinned) != strings.Count(text, "uses:") {
		t.Errorf("%d of %d actions are pinned to a commit", len(pinned), strings.Count(text, "uses:"))
	}
	for _, action := range pinned {
		if !slices.Contains(own, action) {
			t.Errorf("%s is in no workflow of this project", action)
		}
	}
}

// TestGitHubRefuses names that a workflow would take for more than names: GitHub fills in
// ${{ }} before any shell sees a quote, and a line that ends, ends the comment or the script.
func TestGitHubRefuses(t *testing.T) {
	t.Parallel()
	cells := []matrix.Cell{{ID: "12.4-base-debian13", OS: "debian13", CUDA: "12.4", Flavor: recipes.Base, Tags: []string{"cuda:12.4-base-debian13"}}}
	for _, name := range []string{"${{ github.token }}.yaml", "a${{x", "a\nb.yaml", "a\rb", "a\x00", "a\u0085b", "a\u2028b", "a\x1b[2J"} {
		for what, from := range map[string]emit.Origin{
			"file": {File: name, Group: "default"}, "recipes": {File: "matrix.yaml", Group: "default", Recipes: []string{"ok", name}},
			"only": {File: "matrix.yaml", Group: "default", Only: []string{"*", name}}, "to": {File: "matrix.yaml", Group: "default", To: name},
		} {
			if files, err := emit.GitHub(cells, from); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) || files != nil {
				t.Errorf("%s %q: %v, %v, want an error that names it", what, name, files, err)
			}
		}
	}
	if _, err := emit.GitHub(cells, emit.Origin{File: "it's; a $(name) {{x}}.yaml", Group: "default"}); err != nil {
		t.Errorf("a name that can be quoted: %v", err)
	}
}
