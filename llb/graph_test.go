// SPDX-License-Identifier: Apache-2.0

package llb_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// TestDeterministic compiles 25 times, with recipes that have five variables in an
// environment: a map of that size that is not sorted begins at another place each time
// and passes less than once in 10^15. Op bytes must be equal; metadata, which carries
// what people see, may be written in any order.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	first := map[string]*llb.Image{}
	for range 25 {
		c := catalog(t, "testdata/recipes")
		compiler := &llb.Compiler{}
		for _, cell := range cells(t, c) {
			got, want := compile(t.Context(), t, compiler, cell), first[cell.ID]
			if want == nil {
				first[cell.ID] = got
				continue
			}
			if !slices.EqualFunc(want.Definition.Def, got.Definition.Def, bytes.Equal) {
				t.Fatalf("%s: ops of two compilations (-first +again):\n%s", cell.ID,
					cmp.Diff(parse(t, want.Definition).dump(), parse(t, got.Definition).dump()))
			}
			if diff := cmp.Diff(encode(t, want.Config), encode(t, got.Config)); diff != "" {
				t.Fatalf("%s: configs of two compilations (-first +again):\n%s", cell.ID, diff)
			}
		}
	}
}

// TestCompanyMakesNoDifference: a cell compiles to the same alone as with all others,
// from several goroutines.
func TestCompanyMakesNoDifference(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	all, compiler := cells(t, c), &llb.Compiler{}
	for worker := range 4 {
		t.Run(strconv.Itoa(worker), func(t *testing.T) {
			t.Parallel()
			for _, cell := range all {
				got, want := compile(t.Context(), t, compiler, cell), compile(t.Context(), t, &llb.Compiler{}, cell)
				if diff := cmp.Diff(encode(t, want), encode(t, got)); diff != "" {
					t.Errorf("%s (-alone +with others):\n%s", cell.ID, diff)
				}
			}
		})
	}
}

// TestFamilies: one compiler tells bases, platforms and cuda-compat apart.
func TestFamilies(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	compiler, seen := &llb.Compiler{}, map[string]string{}
	cell := cells(t, c)[slices.IndexFunc(cells(t, c), func(c matrix.Cell) bool { return c.CUDA == "12.8.1" })]
	variants := map[string]func(*matrix.Cell, *string, *llb.Base){
		"as it is":       func(*matrix.Cell, *string, *llb.Base) {},
		"compat":         func(c *matrix.Cell, _ *string, _ *llb.Base) { c.Recipe = c.Recipe.WithCompat() },
		"a platform":     func(_ *matrix.Cell, p *string, _ *llb.Base) { *p = "linux/arm64" },
		"its name":       func(c *matrix.Cell, _ *string, _ *llb.Base) { c.Platforms = []string{"linux/amd64", "linux/arm64"} },
		"another root":   func(_ *matrix.Cell, _ *string, b *llb.Base) { b.Root = "sha256:" + b.Root[7:] + "0" },
		"another index":  func(_ *matrix.Cell, _ *string, b *llb.Base) { b.Lists += "0" },
		"another epoch":  func(_ *matrix.Cell, _ *string, b *llb.Base) { b.Epoch++ },
		"another config": func(_ *matrix.Cell, _ *string, b *llb.Base) { b.Config.Author = "x" },
	}
	for name, vary := range variants {
		cell, platform, base := cell, "linux/amd64", rootOf(cell.Recipe.OS)
		vary(&cell, &platform, &base)
		img, err := compiler.Compile(t.Context(), cell, platform, base)
		if err != nil {
			t.Fatal(err)
		}
		text := encode(t, img)
		if other, ok := seen[text]; ok {
			t.Errorf("%q and %q are the same image", name, other)
		}
		seen[text] = name
	}
}

func encode(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestSharedVertices holds what makes the matrix cheap: a step is one vertex in the
// graph of every cell that needs it.
func TestSharedVertices(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	compiler := &llb.Compiler{}
	steps := map[string]map[string]digest.Digest{} // by step, by cell
	for _, cell := range cells(t, c) {
		if cell.OS != "debian13" {
			continue
		}
		g := parse(t, compile(t.Context(), t, compiler, cell).Definition)
		for i, name := range g.names {
			for _, step := range []string{"root file system", "package lists", "install base", "install runtime", "install devel"} {
				if strings.Contains(name, step) {
					if steps[step] == nil {
						steps[step] = map[string]digest.Digest{}
					}
					steps[step][cell.ID] = g.digests[i]
				}
			}
		}
	}
	for step, cells := range map[string]int{"root file system": 6, "package lists": 6, "install base": 6, "install runtime": 5, "install devel": 4} {
		distinct := map[digest.Digest]bool{}
		for _, d := range steps[step] {
			distinct[d] = true
		}
		if len(steps[step]) != cells || len(distinct) != 1 {
			t.Errorf("%s: %d cells have %d vertices, want %d cells with 1: %v", step, len(steps[step]), len(distinct), cells, steps[step])
		}
	}
}

// TestNamesAreShared: whichever cell comes first names a shared step, so the name
// must not be a cell's.
func TestNamesAreShared(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, cell matrix.Cell, img *llb.Image) {
		for _, name := range parse(t, img.Definition).names {
			if strings.Contains(name, cell.ID) {
				t.Errorf("step %q is named by its cell", name)
			}
		}
	})
}

// TestNoSession: a local source or a session ID would give each solve vertices of
// its own, and build everything on them again.
func TestNoSession(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, cell matrix.Cell, img *llb.Image) {
		for i, op := range parse(t, img.Definition).ops {
			source := op.GetSource()
			if source == nil {
				continue
			}
			want := map[string]string{pb.AttrOCILayoutStoreID: llb.BaseStore}
			if strings.HasPrefix(source.Identifier, "docker-image://") && cell.Recipe.OS.Image != "" {
				want = nil
			} else if !strings.HasPrefix(source.Identifier, "oci-layout://") {
				t.Errorf("op %d: source %s, want oci-layout://, or a vendor's docker-image://", i, source.Identifier)
			}
			if !strings.Contains(source.Identifier, "@sha256:") {
				t.Errorf("op %d: source %s has no digest", i, source.Identifier)
			}
			if diff := cmp.Diff(want, source.Attrs); diff != "" {
				t.Errorf("op %d: attributes (-want +got):\n%s", i, diff)
			}
		}
	})
}

// TestSource: an error of a step can point at the line of a recipe that asks for it.
func TestSource(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, cell matrix.Cell, img *llb.Image) {
		g, source := parse(t, img.Definition), img.Definition.Source
		for i, name := range g.names {
			if !strings.Contains(name, "] install ") && !strings.Contains(name, "] compile ") {
				continue
			}
			var places []string
			for _, at := range source.Locations[g.digests[i].String()].GetLocations() {
				places = append(places, fmt.Sprintf("%s:%d", source.Infos[at.SourceIndex].Filename, at.Ranges[0].Start.Line))
			}
			want := fmt.Sprintf("recipes/cuda/%s-%s.yaml:", cell.CUDA, cell.OS)
			if cell.Source == "nvidia" {
				want = fmt.Sprintf("recipes/toolkit/%s.yaml:", cell.CUDA)
			}
			if len(places) != 1 || !strings.HasPrefix(places[0], want) || strings.HasSuffix(places[0], ":0") {
				t.Errorf("%s comes from %v, want one line of %s", name, places, want)
			}
		}
	})
}

// TestPlatform: without a fixed one the graph would be that of the machine at hand.
func TestPlatform(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ matrix.Cell, img *llb.Image) {
		g := parse(t, img.Definition)
		for i, op := range g.ops[:len(g.ops)-1] {
			if op.GetFile() != nil { // files are the same on every platform
				continue
			}
			if op.Platform == nil || op.Platform.OS != "linux" || op.Platform.Architecture != "amd64" {
				t.Errorf("op %d (%s): platform %v, want linux/amd64", i, g.names[i], op.Platform)
			}
		}
		if img.Config.OS != "linux" || img.Config.Architecture != "amd64" {
			t.Errorf("config is for %s/%s, want linux/amd64", img.Config.OS, img.Config.Architecture)
		}
	})
}

// TestHistory: one line a layer, so that a finding in layer N has its command. The
// root is one layer, each step one more.
func TestHistory(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, cell matrix.Cell, img *llb.Image) {
		g := parse(t, img.Definition)
		layers := g.layers()
		if got := len(img.Config.History); got != layers {
			t.Errorf("%s: %d history lines for %d layers", cell.ID, got, layers)
		}
		for _, h := range img.Config.History {
			if h.EmptyLayer || h.CreatedBy == "" || h.Created == nil {
				t.Errorf("history line %+v, want a layer, a command and a time", h)
			}
		}
	})
}

// layers counts the ops on the way from the result down to the root.
func (g graph) layers() int {
	n := 0
	for op := g.ops[len(g.ops)-1]; len(op.Inputs) > 0; n++ {
		op = g.ops[g.at[digest.Digest(op.Inputs[0].Digest)]]
	}
	return n
}

// TestRootMountFirst: layers relies on the root being an exec's first input.
func TestRootMountFirst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ matrix.Cell, img *llb.Image) {
		for i, op := range parse(t, img.Definition).ops {
			if exec := op.GetExec(); exec != nil {
				at := slices.IndexFunc(exec.Mounts, func(m *pb.Mount) bool { return m.Dest == "/" })
				if at < 0 || exec.Mounts[at].Input != 0 {
					t.Errorf("op %d: the root is not the first input: %v", i, exec.Mounts)
				}
			}
		}
	})
}

// TestInputsAreNotChanged: one base is compiled into many cells at once.
func TestInputsAreNotChanged(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	compiler := &llb.Compiler{}
	base := rootOf(recipes.OS{Name: "debian13"})
	base.Config.History = append(make([]ocispec.History, 0, 8), base.Config.History...)
	for _, cell := range cells(t, c) {
		if cell.OS != "debian13" {
			continue
		}
		if _, err := compiler.Compile(t.Context(), cell, "linux/amd64", base); err != nil {
			t.Fatal(err)
		}
	}
	if got := base.Config.History[:2][1].CreatedBy; got != "" {
		t.Errorf("Compile wrote %q into the history of its base", got)
	}
	if diff := cmp.Diff(rootOf(recipes.OS{Name: "debian13"}), base); diff != "" {
		t.Errorf("Compile changed its base (-want +got):\n%s", diff)
	}
}

// TestCompatOnce: a cell's release has its cuda-compat already.
func TestCompatOnce(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	m, err := matrix.Parse("f", []byte("version: 1\nimage: cuda\ncompat: allow\ngroups: {default: [{os: [ubuntu24.04], cuda: [12.8.1], flavors: [base]}]}\n"), c)
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.Expand("default", nil)
	if err != nil {
		t.Fatal(err)
	}
	g := parse(t, compile(t.Context(), t, &llb.Compiler{}, all[0]).Definition)
	const name = "cuda-compat-12-8"
	for i, op := range g.ops {
		for _, e := range op.GetExec().GetMeta().GetEnv() {
			if list, ok := strings.CutPrefix(e, "PACKAGES="); ok && strings.Count(list, name) != 1 {
				t.Errorf("op %d installs %s, want one %s", i, list, name)
			}
		}
	}
	if len(all) != 1 || !all[0].Compat || !strings.Contains(g.dump(), name) {
		t.Errorf("%v: no cuda-compat in\n%s", all, g.dump())
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	good := cells(t, c)[0]
	cases := map[string]struct {
		change   func(*matrix.Cell)
		platform string
		want     string
	}{
		"no recipe":      {func(c *matrix.Cell) { c.Recipe = nil }, "linux/amd64", "no recipe for CUDA 11.2 on debian11"},
		"unknown flavor": {func(c *matrix.Cell) { c.Flavor = "cudnn9-devel" }, "linux/amd64", `CUDA 11.2 on debian11 has no "cudnn9-devel"`},
		"unknown sample": {func(c *matrix.Cell) { c.Flavor, c.Sample = "", "life" }, "linux/amd64", `no sample "life"`},
		"bad platform":   {func(*matrix.Cell) {}, "linux/amd64/v2/x", "linux/amd64/v2/x"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cell := good
			test.change(&cell)
			img, err := new(llb.Compiler).Compile(t.Context(), cell, test.platform, rootOf(good.Recipe.OS))
			if img != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Compile = %v, %v, want nil, an error with %q", img, err, test.want)
			}
		})
	}
}

// TestPlatformsOwnPackages: on arm64, steps install and the history tells what there is for
// arm64, and the environment names no NCCL that is not there.
func TestPlatformsOwnPackages(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	compiler := &llb.Compiler{}
	recipe, _ := c.Recipe("ubuntu24.04", "12.6.0")
	cell := matrix.Cell{ID: "12.6.0-devel-ubuntu24.04", OS: "ubuntu24.04", CUDA: "12.6.0", Flavor: "devel", Platforms: []string{"linux/amd64", "linux/arm64"}, Recipe: recipe}
	for platform, want := range map[string]bool{"linux/amd64": true, "linux/arm64": false} {
		img, err := compiler.Compile(t.Context(), cell, platform, rootOf(cell.Recipe.OS))
		if err != nil {
			t.Fatal(err)
		}
		config, err := json.Marshal(img.Config)
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"graph": parse(t, img.Definition).dump(), "config": string(config)} {
			for _, word := range []string{"cuda-nvprof-12-6=12.6.37-1", "libnccl2", "libnccl-dev"} {
				if strings.Contains(text, word) != want {
					t.Errorf("%s of %s: %s is in it: %v", what, platform, word, !want)
				}
			}
		}
		if strings.Contains(string(config), "NCCL_VERSION") != want || !strings.Contains(string(config), "cuda-nsight-compute-12-6=12.6.0-1") {
			t.Errorf("config of %s: %s", platform, config)
		}
	}
}
