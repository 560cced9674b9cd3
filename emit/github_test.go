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
// which runs actionlint over the golden one.
type workflow struct {
	Jobs map[string]struct {
		Needs    []string `yaml:"needs"`
		Strategy struct {
			Matrix struct {
				Include []map[string]string `yaml:"include"`
			} `yaml:"matrix"`
		} `yaml:"strategy"`
	} `yaml:"jobs"`
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

// TestWaves: every cell is built once, in a job that waits for those with the cells that
// it stands on, and no matrix is larger than GitHub allows.
func TestWaves(t *testing.T) {
	t.Parallel()
	all := everyCell(t, catalog(t))
	_, w := github(t, all)
	in := map[string]string{} // job of each cell
	for name, job := range w.Jobs {
		if n := len(job.Strategy.Matrix.Include); n > 256 {
			t.Errorf("job %s: %d entries, want 256 at most", name, n)
		}
		for _, need := range job.Needs {
			if _, ok := w.Jobs[need]; !ok {
				t.Errorf("job %s needs %s, which is none", name, need)
			}
		}
		for _, entry := range job.Strategy.Matrix.Include {
			for id := range strings.FieldsSeq(entry["cells"]) {
				if in[id] != "" {
					t.Errorf("cell %s is in %s and in %s", id, in[id], name)
				}
				in[id] = name
			}
		}
	}
	for _, c := range all {
		if in[c.ID] == "" {
			t.Errorf("cell %s is in no job", c.ID)
		}
		for _, below := range []string{c.Parent, c.Builder} {
			if below != "" && !slices.Contains(w.Jobs[in[c.ID]].Needs, in[below]) {
				t.Errorf("cell %s is in %s, which does not wait for %s with %s", c.ID, in[c.ID], in[below], below)
			}
		}
	}
}

// TestManyJobs: a wave that is too large for one matrix goes on in another job.
func TestManyJobs(t *testing.T) {
	t.Parallel()
	var many []matrix.Cell
	for i := range 600 {
		os := fmt.Sprintf("os%d", i)
		many = append(many, matrix.Cell{ID: "1.0-base-" + os, OS: os, CUDA: "1.0", Flavor: "base"},
			matrix.Cell{ID: "1.0-runtime-" + os, OS: os, CUDA: "1.0", Flavor: "runtime", Parent: "1.0-base-" + os})
	}
	_, w := github(t, many)
	sizes := map[string]int{}
	for name, job := range w.Jobs {
		sizes[name] = len(job.Strategy.Matrix.Include)
	}
	want := map[string]int{"tools": 0, "base": 256, "base-2": 256, "base-3": 88, "runtime": 256, "runtime-2": 256, "runtime-3": 88}
	if diff := cmp.Diff(want, sizes); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"base", "base-2", "base-3"}, w.Jobs["runtime-2"].Needs); diff != "" {
		t.Errorf("needs of runtime-2 (-want +got):\n%s", diff)
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
	cells := []matrix.Cell{{ID: "12.4-base-debian13", OS: "debian13", CUDA: "12.4", Flavor: recipes.Base}}
	for _, name := range []string{"${{ github.token }}.yaml", "a${{x", "a\nb.yaml", "a\rb", "a\x00", "a\u0085b", "a\u2028b", "a\x1b[2J"} {
		for what, from := range map[string]emit.Origin{
			"file": {File: name, Group: "default"}, "recipes": {File: "matrix.yaml", Group: "default", Recipes: []string{"ok", name}},
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
