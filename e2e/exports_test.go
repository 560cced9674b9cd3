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
	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
)

// exporter builds what plan says in the languages of other tools, with the real buildx,
// and compares it with the images that cudabuild has built of the same cells.
type exporter struct {
	buildx
	fixture

	recipes  []string          // flags
	contexts map[string]string // in place of images that are out of reach
}

// TestExports does so for Debian's families, among them a flavor, labels and a variable of the
// user's. The public images that Dockerfiles start
// from are out of reach of a test: in their place, under the same names, stand the roots
// that cudabuild has bootstrapped.
func TestExports(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const own = "../recipes/testdata/own"
	f.matrix = filepath.Join(filepath.Dir(f.out), "matrix.yaml")
	write(t, f.matrix, exportsMatrix)
	ids := []string{"12.4-base-debian13", "12.4-acme-base-debian13", "11.8-base-debian12"}
	doc, r := f.build(t, "--recipes", own)
	if r.code != 0 {
		t.Fatalf("matrix: exit %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	x := exporter{newBuildx(t), f, []string{"--recipes", own}, f.publicImages(t, own, ids)}
	x.compare(t, doc, ids)
	t.Run("flavor", func(t *testing.T) { x.ownFlavor(t, doc) })
	t.Run("on ours", func(t *testing.T) { x.onOurs(t, doc) })
}

const exportsMatrix = `version: 1
image: cuda
groups:
  default:
    - {os: [debian13], cuda: ["12.4"], flavors: [base, acme-base]}
    - {os: [debian12], cuda: ["11.8"], flavors: [base]}
labels: {org.opencontainers.image.source: https://git.example/acme/cuda}
cells:
  - {only: "*-acme-*", env: {ACME_PRICE: "5$ ${HOME} \\ \" ${{ secrets.X }}"}}
`

// ownFlavor holds that the flavor's image has what its file and the matrix say, and that its
// provenance will name both files.
func (x exporter) ownFlavor(t *testing.T, doc record.Run) {
	c := doc.Cells[slices.IndexFunc(doc.Cells, func(c record.Cell) bool { return c.ID == "12.4-acme-base-debian13" })]
	got := x.look(t, filepath.Join(x.out, "images"), c.Digest)
	mustContain(t, "image", got.packages, "jq\t", "644 /etc/acme/motd "+digest.FromString(read(t, "../recipes/testdata/own/motd")).Encoded(), "755 /usr/local/bin/acme ")
	mustContain(t, "env", strings.Join(got.config.Env, "\n"), `ACME_PRICE=5$ ${HOME} \ " ${{ secrets.X }}`)
	for _, name := range []string{"flavor/acme.yaml", "motd"} {
		if !slices.ContainsFunc(c.Made[0].Parts, func(p record.Part) bool { return p.Kind == record.RecipePart && p.Name == name }) {
			t.Errorf("%s is not made of %s: %+v", c.ID, name, c.Made[0].Parts)
		}
	}
	if plain := doc.Cells[0]; strings.Contains(strings.Join(x.look(t, filepath.Join(x.out, "images"), plain.Digest).config.Env, " "), "ACME") {
		t.Errorf("%s has a variable of another cell", plain.ID)
	}
}

// onOurs builds the image that docs/flavors.md builds on ours, and judges it; with the driver
// among its packages the guard refuses it.
func (x exporter) onOurs(t *testing.T, doc record.Run) {
	_, text, _ := strings.Cut(read(t, "../docs/flavors.md"), "```dockerfile\n")
	text, _, _ = strings.Cut(text, "```\n")
	dir := filepath.Join(t.TempDir(), "image")
	args := []string{
		"build", "--provenance=false", "--output", "type=oci,tar=false,dest=" + dir, "-",
		"--build-context", "cuda:12.4-base-debian13=oci-layout://" + filepath.Join(x.out, "images") + "@" + doc.Cells[0].Digest,
	}
	x.run(t, x.dir, text, args...)
	if r := run(t, x.fixture.program, "verify", "oci:"+dir); r.code != 0 {
		t.Errorf("verify: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	got := x.look(t, dir, "").config
	if got.Labels["org.opencontainers.image.title"] != "acme" || !slices.Equal(got.Cmd, []string{"acme"}) {
		t.Errorf("labels %v, command %q", got.Labels, got.Cmd)
	}
	const says = "! apt-get install --yes libcuda1 >/said 2>&1 && grep cudabuild-guard-driver-comes-from-host /said"
	x.run(t, x.dir, strings.Replace(text, "apt-get install --yes --no-install-recommends jq", says, 1), args...)
}

func only(ids []string) (flags []string) {
	for _, id := range ids {
		flags = append(flags, "--only", id)
	}
	return flags
}

// compare compares the cells of a run, each from its Dockerfile, all from a bake file.
func (x exporter) compare(t *testing.T, doc record.Run, ids []string) {
	wants := map[string]content{}
	for _, c := range doc.Cells {
		if slices.Contains(ids, c.ID) {
			wants[c.ID] = x.look(t, filepath.Join(x.out, "images"), c.Digest)
		}
	}
	for _, id := range ids {
		t.Run("dockerfile "+id, func(t *testing.T) { sameContent(t, wants[id], x.dockerfile(t, id)) })
	}
	t.Run("bake", func(t *testing.T) {
		for id, got := range x.bake(t, ids) {
			t.Run(id, func(t *testing.T) { sameContent(t, wants[id], got) })
		}
	})
}

// content is what is compared of an image.
type content struct {
	packages string // names and versions, and what flavors place
	config   v1.Config
	layers   []v1.Hash
}

func (x exporter) look(t *testing.T, layout, manifest string) content {
	t.Helper()
	img := readImage(t, layout, manifest)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	id, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(config.Config.Env)
	return content{x.packages(t, "oci-layout://"+layout+"@"+id.String()), config.Config, config.RootFS.DiffIDs}
}

func sameContent(t *testing.T, ours, theirs content) {
	t.Helper()
	if diff := cmp.Diff(ours.packages, theirs.packages); diff != "" {
		t.Errorf("packages (-cudabuild +buildx):\n%s", diff)
	}
	if diff := cmp.Diff(ours.config.Env, theirs.config.Env); diff != "" {
		t.Errorf("environment (-cudabuild +buildx):\n%s", diff)
	}
	if diff := cmp.Diff(ours.config.Cmd, theirs.config.Cmd); diff != "" {
		t.Errorf("command (-cudabuild +buildx):\n%s", diff)
	}
	if len(theirs.config.Labels) == 0 {
		t.Error("there are no labels")
	}
	for name, value := range theirs.config.Labels {
		if ours.config.Labels[name] != value {
			t.Errorf("label %s = %q, want %q", name, value, ours.config.Labels[name])
		}
	}
}

// publicImages maps the images that Dockerfiles start from to the roots that the
// fixture's runs have bootstrapped.
func (f fixture) publicImages(t *testing.T, own string, ids []string) map[string]string {
	t.Helper()
	catalog, err := recipes.Load(own)
	if err != nil {
		t.Fatal(err)
	}
	m, err := matrix.Load(f.matrix, catalog)
	if err != nil {
		t.Fatal(err)
	}
	bases, err := base.Open(filepath.Join(f.state, "bases"))
	if err != nil {
		t.Fatal(err)
	}
	contexts := map[string]string{}
	for _, id := range ids {
		cell, err := m.Find("default", id)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := catalog.OS(cell.OS)
		base, ok := bases.Known(t.Context(), cell.Recipe, cell.Platforms[0])
		if !ok {
			t.Fatalf("no root of %s", cell.OS)
		}
		// bake looks for a context by the image's short name.
		name := strings.TrimPrefix(o.Bootstrap.Image, "docker.io/library/")
		contexts[name] = "oci-layout://" + filepath.Join(f.state, "bases") + "@" + base.Root.String()
	}
	return contexts
}

// plan runs plan with the exporter's matrix and recipes.
func (x exporter) plan(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"plan", "-f", x.matrix}, append(args, x.recipes...)...)
	r := run(t, x.fixture.program, args...)
	if r.code != 0 {
		t.Fatalf("%v: exit %d\n%s", args, r.code, r.stderr)
	}
	return r.stdout
}

// dockerfile builds what plan --dockerfile prints.
func (x exporter) dockerfile(t *testing.T, id string) content {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	args := []string{"build", "--provenance=false", "--output", "type=oci,tar=false,dest=" + dir, "-"}
	for name, layout := range x.contexts {
		args = append(args, "--build-context", name+"="+layout)
	}
	x.run(t, x.dir, x.plan(t, "--dockerfile", id), args...)
	return x.look(t, dir, "")
}

// bake builds what plan --emit bake writes, all of it at once; a second file says where
// the public images are and where the results go.
func (x exporter) bake(t *testing.T, ids []string) map[string]content {
	t.Helper()
	dir := t.TempDir()
	x.plan(t, append(only(ids), "--emit", "bake", "-o", dir)...)
	targets, results := map[string]any{}, map[string]string{}
	for _, id := range ids {
		results[id] = filepath.Join(dir, id)
		targets[strings.ReplaceAll(id, ".", "_")] = map[string]any{
			"contexts": x.contexts, "output": []string{"type=oci,tar=false,dest=" + results[id]},
		}
	}
	override, err := json.Marshal(map[string]any{"target": targets})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "test.json"), override, 0o600); err != nil {
		t.Fatal(err)
	}
	x.run(t, dir, "", "bake", "--provenance=false", "--allow=fs="+dir, "--allow=fs.read="+x.state, "-f", "docker-bake.json", "-f", "test.json")
	all := map[string]content{}
	for id, layout := range results {
		all[id] = x.look(t, layout, "")
	}
	return all
}
