// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/image"
)

const diffMatrix = `version: 1
image: cuda
groups:
  default:
    - {os: [debian13], cuda: ["12.4"], flavors: [base]}
    - {os: [debian12], cuda: ["11.8"], flavors: [base]}
`

// tally counts planted changes by kind, and those whose cause was found.
type tally struct{ planted, right map[diff.Kind]int }

// TestDiff plants changes and wants the cause of each: some are built, the others are put into real images.
func TestDiff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.matrix = filepath.Join(filepath.Dir(f.out), "matrix.yaml")
	write(t, f.matrix, diffMatrix)
	if _, r := f.build(t); r.code != 0 {
		t.Fatalf("matrix: exit %d\n%s", r.code, r.stderr)
	}
	all := tally{map[diff.Kind]int{}, map[diff.Kind]int{}}
	diffBuilt(t, f, all)
	for _, cell := range []string{"12.4-base-debian13", "11.8-base-debian12"} {
		sources, _, err := image.Open(t.Context(), f.oci(cell), image.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range planted(t, sources[0].Image) {
			r, err := diff.Images(t.Context(),
				diff.Reference{Images: []diff.Version{{Image: sources[0].Image, Made: p.oldMade}}}, diff.Reference{Images: []diff.Version{{Image: p.image, Made: p.newMade}}})
			if err != nil {
				t.Errorf("%s, %s: %v", cell, p.name, err)
				continue
			}
			all.judge(t, cell+", "+p.name, r, p.kind, p.what)
		}
	}
	planted, right := 0, 0
	for _, kind := range slices.Sorted(maps.Keys(all.planted)) {
		t.Logf("%-12s %3d of %3d", kind, all.right[kind], all.planted[kind])
		planted, right = planted+all.planted[kind], right+all.right[kind]
	}
	t.Logf("%-12s %3d of %3d", "all", right, planted)
	if planted < 100 || right != planted {
		t.Errorf("%d of %d causes are right, want 100 or more and all", right, planted)
	}
}

// judge wants one cause for all that changed, of a kind and with a text in it.
func (a tally) judge(t *testing.T, name string, r *diff.Result, kind diff.Kind, what string) {
	t.Helper()
	a.planted[kind]++
	if len(r.Causes) == 1 && r.Causes[0].Kind == kind && strings.Contains(r.Causes[0].What+" "+r.Causes[0].Place, what) {
		a.right[kind]++
		return
	}
	t.Errorf("%s: causes %+v, want one of %s with %q", name, r.Causes, kind, what)
}

// diffBuilt builds images again from a mirror that was behind, another recipe, another matrix and with another compression.
func diffBuilt(t *testing.T, f fixture, all tally) {
	const cell = "12.4-base-debian13"
	again := func(name, matrix string, args ...string) fixture {
		g := f
		g.out = f.out + "-" + name
		if matrix != "" {
			g.matrix = filepath.Join(filepath.Dir(f.out), name, "matrix.yaml")
			if err := os.MkdirAll(filepath.Dir(g.matrix), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, g.matrix, matrix)
		}
		if _, r := g.build(t, append(args, "--only", cell)...); r.code != 0 {
			t.Fatalf("%s: exit %d\n%s", name, r.code, r.stderr)
		}
		return g
	}
	if _, r := diffOf(t, f.program, f.oci(cell), f.oci(cell)); r.code != 0 {
		t.Errorf("an image and itself: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, c := range []struct {
		name, matrix string
		args, flags  []string // of matrix, of diff
		kind         diff.Kind
		what         string
	}{
		{
			"a package more in a recipe", "",
			[]string{"--recipes", "testdata/extra"},
			[]string{"--recipes", "testdata/extra"},
			diff.Recipe,
			"+libnvtoolsext1 testdata/extra/cuda/12.4-debian13.yaml:3",
		},
		{"a variable of the matrix", diffMatrix + "env: {ACME: eu}\n", nil, nil, diff.Recipe, "env ACME matrix.yaml"},
		{"a label of the matrix", diffMatrix + "labels: {org.opencontainers.image.vendor: Acme}\n", nil, nil, diff.Recipe, "vendor matrix.yaml"},
		{"another compression", "", []string{"--compression", "gzip"}, nil, diff.Tool, "compression zstd -> gzip"},
	} {
		g := again(strings.ReplaceAll(c.name, " ", "-"), c.matrix, c.args...)
		r, res := diffOf(t, f.program, f.oci(cell), g.oci(cell), c.flags...)
		if res.code != 1 {
			t.Errorf("%s: exit %d, want 1\n%s", c.name, res.code, res.stderr)
		}
		all.judge(t, c.name, r, c.kind, c.what)
	}

	m := startBehind(t, servers(t, dates(t, f.state)))
	behind := f
	behind.state, behind.out = f.state+"-behind", f.out+"-behind"
	if _, r := behind.build(t, "--debian-mirror", m.URL, "--only", cell); r.code != 0 {
		t.Fatalf("a mirror that is behind: exit %d\n%s", r.code, r.stderr)
	}
	moved, _ := diffOf(t, f.program, filepath.Join(behind.out, "run.json"), filepath.Join(f.out, "run.json"))
	wants := moves(installed(t, behind.oci(cell)), installed(t, f.oci(cell)))
	if len(wants) == 0 {
		t.Error("a mirror that moves on: no package has changed")
	}
	all.planted[diff.Package] += len(wants)
	all.planted[diff.Date]++
	for _, c := range moved.Causes {
		switch {
		case c.Kind == diff.Package && wants[c.What]:
			delete(wants, c.What)
			all.right[c.Kind]++
		case c.Kind == diff.Date && all.right[diff.Date] < all.planted[diff.Date]:
			all.right[c.Kind]++
		default:
			t.Errorf("a mirror that moves on: cause %+v, want packages and one date", c)
		}
	}
	if len(wants) > 0 {
		t.Errorf("a mirror that moves on: no cause for %v", slices.Sorted(maps.Keys(wants)))
	}
}

// testDifferences compares the largest image that there is with the smallest: every package is told, and every file has a cause that
// is known.
func testDifferences(t *testing.T, f fixture) {
	old, now := f.oci(cells[0]), f.oci(cells[2])
	r, res := diffOf(t, f.program, old, now)
	if res.code != 1 || len(r.Images) != 1 || r.Images[0].Why != "" {
		t.Fatalf("base against devel: exit %d, want 1 and one image that was read\n%s", res.code, res.stderr)
	}
	got, by := map[string]bool{}, map[diff.Kind]int{}
	for _, p := range r.Images[0].Packages {
		got[fmt.Sprintf("%s %s -> %s", p.Name, cmp.Or(p.Old, "none"), cmp.Or(p.New, "none"))] = true
	}
	if d := gocmp.Diff(moves(installed(t, old), installed(t, now)), got); d != "" {
		t.Errorf("base against devel: packages (-want +got):\n%s", d)
	}
	for _, file := range r.Images[0].Files {
		c := r.Causes[file.Cause]
		if by[c.Kind]++; c.Kind == diff.File || c.Kind == diff.Unexplained {
			t.Errorf("base against devel: /%s %s: %s %s", file.Path, file.How, c.Kind, c.What)
		}
	}
	t.Logf("base against devel: %d packages, %d files by cause: %v", len(got), len(r.Images[0].Files), by)
	if len(r.Images[0].Files) < 5000 {
		t.Errorf("base against devel: %d files differ, want 5,000 or more", len(r.Images[0].Files))
	}
}

func diffOf(t *testing.T, program, old, now string, flags ...string) (*diff.Result, result) {
	t.Helper()
	res := run(t, program, append([]string{"diff", "--json", old, now}, flags...)...)
	r := &diff.Result{}
	if err := json.Unmarshal([]byte(res.stdout), r); err != nil {
		t.Fatalf("diff --json %s %s: %v\n%s%s", old, now, err, res.stdout, res.stderr)
	}
	return r, res
}

// startBehind serves the distribution as it was before the security updates: in their place are the ordinary ones, which are
// signed by the same keys and older.
func startBehind(t *testing.T, own map[string]*url.URL) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		p := r.In.URL.Path
		if rest, ok := strings.CutPrefix(p, "/debian-security/"); ok {
			p = "/debian/" + strings.ReplaceAll(rest, "-security/", "-updates/")
		}
		r.SetURL(own["debian"])
		r.Out.URL.Path, r.Out.URL.RawPath = p, ""
	}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}})
	t.Cleanup(s.Close)
	return s
}
