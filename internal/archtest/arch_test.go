// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the project's import arrows: who may import whom among
// our own packages, who may import BuildKit, and that the program builds without
// cgo, does not grow unseen and holds nothing that verify takes for a driver. It has tests only.
//
// A new package must be entered in the table of arrows; a new arrow is a change of
// the design and belongs in a commit that says why.
package archtest_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/verify"
)

const (
	module   = "github.com/cudabuild/cudabuild"
	buildkit = "github.com/moby/buildkit"
	// maxBytes bounds the program: it goes whole into every release and every bundle for a
	// GPU host. A module that takes it over the limit argues for itself, with what it adds,
	// in the commit that raises the number, a tenth above what is linked (34.6 MB,
	// 4.8 of them by the client of Kubernetes).
	maxBytes = 39_500_000
	// maxObserver bounds the program that a pod copies before each row (2.8 MB are linked).
	maxObserver = 4_000_000
)

// arrows names, for each package, the packages of ours that it may import.
// A subpackage (verify/internal/rules) stands under its parent's name. Everybody may import
// internal/; free packages may import everything and nobody imports them.
var arrows = map[string][]string{
	"compat":   {"support"},
	"registry": {},
	"support":  {},
	"image":    {"registry"},
	"referrer": {"image", "registry"}, // image: reads indexes and manifests of others in one way only
	"engine":   {},
	"samples":  {},
	"sign":     {},
	"spec":     {},
	"usertest": {"compat", "samples", "spec"},
	"recipes":  {"compat", "samples", "spec", "support"},
	"matrix":   {"recipes", "spec", "support", "usertest"},
	"update":   {"compat", "recipes", "spec", "upstream"},
	"plan":     {"compat", "matrix", "recipes", "samples", "spec"},
	"llb":      {"matrix", "plan", "recipes"},
	"verify":   {"image", "compat", "support"},
	"gpu":      {"image", "compat", "samples", "usertest", "verify"}, // samples: their names, whose documents it reads
	"retire":   {"image", "referrer", "registry", "support"},
	"transfer": {"image", "record", "referrer", "registry"},
	"record":   {"compat", "image", "verify", "gpu"},
	"attest":   {"evidence", "image", "referrer", "registry", "sign", "verify"}, // verify: the rules of now
	"publish":  {"attest", "compat", "evidence", "gpu", "image", "matrix", "record", "referrer", "registry", "sign", "usertest", "verify"},
	"lock":     {},
	"upstream": {"recipes"},
	"base":     {"recipes", "image", "lock", "registry", "upstream"}, // image: pulls what an OS starts from; registry: why it does not
	"evidence": {"gpu", "record", "verify"},
	"emit":     {"matrix", "plan", "recipes"},
	"build":    {"base", "matrix", "llb", "engine", "image", "lock", "record", "recipes", "registry", "samples", "verify"}, // recipes: sizes; registry: caches; samples: what the record says of them; verify: the verdict that gates
	"fleet":    {"compat", "gpu", "image", "registry", "usertest", "verify"},                                               // image: which of them a daemon cannot pull
	"contents": {"image", "verify"},
	"diff":     {"compat", "contents", "gpu", "image", "record", "verify"},
	"report":   {"attest", "compat", "contents", "diff", "gpu", "record", "support", "verify"},                                           // attest: what it says of evidence
	"internal": {"attest", "compat", "contents", "diff", "evidence", "gpu", "image", "recipes", "record", "report", "support", "verify"}, // what tests of several packages share
}

// floors are the rooms of package verify, the lowest first. One imports only rooms below its own.
var floors = []string{
	"symbols",
	"cudart dynelf fatbin loader pkgdb readers rpmdb sniff spool",
	"codec",
	"archive blob rules",
	"layer",
	"tree view",
	"", // verify itself
	"format",
}

var (
	free         = []string{"cmd", "e2e", "bench"}
	mayUseSolver = []string{"llb", "engine", "build"}
	// mayLinkSolver need not import BuildKit to have it linked in.
	mayLinkSolver = append([]string{"internal"}, append(free, mayUseSolver...)...)
)

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// name is the first element of the path inside the module: "verify" for verify/internal/rules.
func name(importPath string) (string, bool) {
	rest, ours := strings.CutPrefix(importPath, module+"/")
	first, _, _ := strings.Cut(rest, "/")
	return first, ours
}

func isBuildKit(importPath string) bool {
	return importPath == buildkit || strings.HasPrefix(importPath, buildkit+"/")
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		from, _ := name(p.ImportPath)
		allowed, known := arrows[from]
		if !known && !slices.Contains(free, from) {
			t.Errorf("%s: not in the table of arrows, want an entry for %q", p.ImportPath, from)
			continue
		}
		for _, imported := range p.Imports {
			to, ours := name(imported)
			if !ours || !known || to == from || to == "internal" || slices.Contains(allowed, to) {
				continue
			}
			t.Errorf("%s imports %s, want only %v", p.ImportPath, imported, allowed)
		}
	}
}

func TestRoomsOfVerify(t *testing.T) {
	t.Parallel()
	floor := func(importPath string) (at int, ours bool) {
		room, ours := strings.CutPrefix(importPath, module+"/verify")
		room = strings.TrimPrefix(strings.TrimPrefix(room, "/internal"), "/")
		return slices.IndexFunc(floors, func(f string) bool { return slices.Contains(strings.Split(f, " "), room) }), ours
	}
	for _, p := range list(t) {
		from, ours := floor(p.ImportPath)
		if ours && from < 0 {
			t.Errorf("%s: stands on no floor", p.ImportPath)
		}
		for _, imported := range p.Imports {
			if to, room := floor(imported); ours && room && to >= from {
				t.Errorf("%s imports %s, want only what stands below it", p.ImportPath, imported)
			}
		}
	}
}

func TestBuildKitStaysInItsPlace(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		from, _ := name(p.ImportPath)
		if !slices.Contains(mayUseSolver, from) && from != "internal" && slices.ContainsFunc(p.Imports, isBuildKit) {
			t.Errorf("%s imports BuildKit, want that only in %v", p.ImportPath, mayUseSolver)
		}
		if i := slices.IndexFunc(p.Deps, isBuildKit); i >= 0 && !slices.Contains(mayLinkSolver, from) {
			t.Errorf("%s depends on %s, want no BuildKit under it", p.ImportPath, p.Deps[i])
		}
	}
}

// TestKubernetesStaysInItsPlace: every other package can be changed without a cluster.
func TestKubernetesStaysInItsPlace(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		i := slices.IndexFunc(p.Imports, func(path string) bool { return strings.HasPrefix(path, "k8s.io/") })
		if i >= 0 && p.ImportPath != module+"/fleet/k8s" {
			t.Errorf("%s imports %s, want that only in fleet/k8s", p.ImportPath, p.Imports[i])
		}
	}
}

// TestProgram builds without cgo and wants a static program, because it must run in images
// older and smaller than the host it was built on, one that is not too big, and one that no rule takes
// for a part of the driver by the texts in it: they are part of cudabuild.
func TestProgram(t *testing.T) {
	t.Parallel()
	program := build(t, "cudabuild", maxBytes)
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range verify.Rules() {
		for _, p := range rule.Match {
			if p.Text != nil && !slices.ContainsFunc(p.Text, func(text string) bool { return !bytes.Contains(data, []byte(text)) }) {
				t.Errorf("the program has all of %q, as %s: want an escape in the rule", p.Text, rule.ID)
			}
		}
	}
}

// TestObserver holds what runs in other people's images to the standard library and one module
// more, small and static.
func TestObserver(t *testing.T) {
	t.Parallel()
	const observer = module + "/cmd/observe"
	ours := []string{module + "/fleet/observe", module + "/gpu/watch", module + "/internal/capture"}
	for _, p := range list(t) {
		for _, dep := range p.Deps {
			domain, _, _ := strings.Cut(dep, "/")
			if p.ImportPath == observer && strings.Contains(domain, ".") && !strings.HasPrefix(dep, "golang.org/x/sys/") && !slices.Contains(ours, dep) {
				t.Errorf("%s depends on %s, want %v, the standard library and golang.org/x/sys alone", observer, dep, ours)
			}
		}
	}
	build(t, "observe", maxObserver)
}

// build returns a program of ours that is static and not too big.
func build(t *testing.T, name string, most int64) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	// -trimpath as in the Makefile, so that the build cache is warm, and stripped as there.
	goTool(t, "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/"+name)
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s asks for a dynamic loader, want a static program", name)
		}
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > most {
		t.Errorf("%s has %.1f MB, want at most %.1f", name, float64(info.Size())/1e6, float64(most)/1e6)
	}
	return program
}

// list returns every package of the module, as seen without cgo.
func list(t *testing.T) []goPackage {
	t.Helper()
	touchSources(t)
	dec := json.NewDecoder(bytes.NewReader(goTool(t, "list", "-json=ImportPath,Imports,Deps", "./...")))
	var all []goPackage
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 2 {
		t.Fatalf("go list found %d packages, want the whole module", len(all))
	}
	return all
}

// touchSources looks at every source file, because go test caches a result by the
// files that the test itself has seen, and go list sees them in another process.
func touchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "bin" || d.Name() == "out" || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go") || d.Name() == "go.mod":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

const root = "../.."

func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}
