// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/bootstrap"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// exported are small cells of different families.
var exported = []string{"12.4-base-debian13", "11.8-base-debian12"}

// TestExports builds what plan says in the languages of other tools with the real
// buildx, and compares it with the images that cudabuild builds of the same cells. The
// public images that Dockerfiles start from are out of reach of a test: in their place
// stand the roots that cudabuild has bootstrapped, under the same names.
func TestExports(t *testing.T) {
	f := newFixture(t)
	var only []string
	for _, id := range exported {
		only = append(only, "--only", id)
	}
	doc, r := f.build(t, only...)
	if r.code != 0 {
		t.Fatalf("matrix: exit %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	x, contexts := newBuildx(t), f.publicImages(t)
	wants := map[string]content{}
	for _, c := range doc.Cells {
		layout := filepath.Join(f.out, "images")
		wants[c.ID] = look(t, x, layout, c.Digest)
	}
	t.Run("dockerfile", func(t *testing.T) {
		for _, id := range exported {
			compare(t, id, wants[id], x.dockerfile(t, f, id, contexts))
		}
	})
	t.Run("bake", func(t *testing.T) {
		for id, got := range x.bake(t, f, only, contexts) {
			compare(t, id, wants[id], got)
		}
	})
}

// content is what is compared of an image.
type content struct {
	packages string // names and versions
	config   v1.Config
}

func look(t *testing.T, x buildx, layout, digest string) content {
	t.Helper()
	img := readImage(t, layout, digest)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	id, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(config.Config.Env)
	return content{x.packages(t, "oci-layout://"+layout+"@"+id.String()), config.Config}
}

func compare(t *testing.T, id string, ours, theirs content) {
	t.Helper()
	if diff := cmp.Diff(ours.packages, theirs.packages); diff != "" {
		t.Errorf("%s: packages (-cudabuild +buildx):\n%s", id, diff)
	}
	if !strings.Contains(theirs.packages, "cudabuild-guard") {
		t.Errorf("%s: the guard is not among the packages", id)
	}
	if diff := cmp.Diff(ours.config.Env, theirs.config.Env); diff != "" {
		t.Errorf("%s: environment (-cudabuild +buildx):\n%s", id, diff)
	}
	if diff := cmp.Diff(ours.config.Cmd, theirs.config.Cmd); diff != "" {
		t.Errorf("%s: command (-cudabuild +buildx):\n%s", id, diff)
	}
	for name, value := range theirs.config.Labels {
		if ours.config.Labels[name] != value {
			t.Errorf("%s: label %s = %q, want %q", id, name, value, ours.config.Labels[name])
		}
	}
}

// publicImages maps the images that Dockerfiles start from to the roots that the
// fixture's runs have bootstrapped.
func (f fixture) publicImages(t *testing.T) map[string]string {
	t.Helper()
	catalog, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	m, err := matrix.Load(f.matrix, catalog)
	if err != nil {
		t.Fatal(err)
	}
	bases, err := bootstrap.Open(filepath.Join(f.state, "bases"))
	if err != nil {
		t.Fatal(err)
	}
	contexts := map[string]string{}
	for _, id := range exported {
		cell, err := m.Find("default", id)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := catalog.OS(cell.OS)
		base, ok := bases.Known(t.Context(), o, cell.Platforms[0])
		if !ok {
			t.Fatalf("no root of %s", cell.OS)
		}
		contexts[familiar(o.Bootstrap.Image)] = "oci-layout://" + filepath.Join(f.state, "bases") + "@" + base.Root.String()
	}
	return contexts
}

// familiar is the short name of an image, which is how bake looks for a context.
func familiar(image string) string {
	return strings.TrimPrefix(strings.TrimPrefix(image, "docker.io/"), "library/")
}

// dockerfile builds what plan --dockerfile prints.
func (b buildx) dockerfile(t *testing.T, f fixture, id string, contexts map[string]string) content {
	t.Helper()
	r := run(t, f.program, "plan", "-f", f.matrix, "--dockerfile", id)
	if r.code != 0 {
		t.Fatalf("plan --dockerfile %s: exit %d\n%s", id, r.code, r.stderr)
	}
	dir := filepath.Join(t.TempDir(), "image")
	args := []string{"build", "--provenance=false", "--output", "type=oci,tar=false,dest=" + dir, "-"}
	for name, layout := range contexts {
		args = append(args, "--build-context", name+"="+layout)
	}
	b.run(t, b.dir, r.stdout, args...)
	return look(t, b, dir, "")
}

// bake builds what plan --emit bake writes, all of it at once; a second file says where
// the public images are and where the results go.
func (b buildx) bake(t *testing.T, f fixture, only []string, contexts map[string]string) map[string]content {
	t.Helper()
	dir := t.TempDir()
	if r := run(t, f.program, append([]string{"plan", "-f", f.matrix, "--emit", "bake", "-o", dir}, only...)...); r.code != 0 {
		t.Fatalf("plan --emit bake: exit %d\n%s", r.code, r.stderr)
	}
	targets, results := map[string]any{}, map[string]string{}
	for _, id := range exported {
		results[id] = filepath.Join(dir, id)
		targets[strings.ReplaceAll(id, ".", "_")] = map[string]any{
			"contexts": contexts, "output": []string{"type=oci,tar=false,dest=" + results[id]},
		}
	}
	override, err := json.Marshal(map[string]any{"target": targets})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "test.json"), override, 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t, dir, "", "bake", "--provenance=false", "--allow=fs="+dir, "--allow=fs.read="+f.state, "-f", "docker-bake.json", "-f", "test.json")
	all := map[string]content{}
	for id, layout := range results {
		all[id] = look(t, b, layout, "")
	}
	return all
}
