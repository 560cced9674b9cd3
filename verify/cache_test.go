// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// TestUseIsNoted: facts that are used are not the oldest any more.
func TestUseIsNoted(t *testing.T) {
	t.Parallel()
	dir := ownDir(t)
	img := imagetest.New(layer(map[string]imagetest.Entry{"a": {Data: "x"}}))
	judgeIn := func() {
		if r, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", img); err != nil || r.Verdict != verify.Pass {
			t.Fatalf("%s, %v", r.Verdict, err)
		}
	}
	judgeIn()
	files, err := filepath.Glob(filepath.Join(dir, "*.facts"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	old := time.Now().Add(-80 * 24 * time.Hour)
	if err := os.Chtimes(files[0], old, old); err != nil {
		t.Fatal(err)
	}
	judgeIn()
	if info, err := os.Stat(files[0]); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("last use is %v, %v", info.ModTime(), err)
	}
}

// TestVersionCoversTheCode: every source and data file of every package of the module
// that verify is made of counts for the version of the rules.
func TestVersionCoversTheCode(t *testing.T) {
	t.Parallel()
	const module = "github.com/cudabuild/cudabuild/"
	covered := verify.VersionedFiles()
	seen := map[string]bool{}
	var visit func(pkg string)
	visit = func(pkg string) {
		// What these hand over is bytes whose digest is checked; they know nothing of rules.
		if seen[pkg] || pkg == "image" || pkg == "internal/files" {
			return
		}
		seen[pkg] = true
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pkg), "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("package %s has no files: %v", pkg, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			need := []string{filepath.Base(file)}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range parsed.Comments {
				for _, c := range group.List {
					if patterns, ok := strings.CutPrefix(c.Text, "//go:embed "); ok {
						for _, p := range strings.Fields(patterns) {
							data, _ := filepath.Glob(filepath.Join("..", filepath.FromSlash(pkg), p))
							for _, d := range data {
								rel, _ := filepath.Rel(filepath.Join("..", filepath.FromSlash(pkg)), d)
								if !strings.HasSuffix(rel, "_test.go") {
									need = append(need, filepath.ToSlash(rel))
								}
							}
						}
					}
				}
			}
			for _, n := range need {
				if !slices.Contains(covered, pkg+"/"+n) {
					t.Errorf("the version of the rules omits %s/%s", pkg, n)
				}
			}
			for _, spec := range parsed.Imports {
				if path, _ := strconv.Unquote(spec.Path.Value); strings.HasPrefix(path, module) {
					visit(strings.TrimPrefix(path, module))
				}
			}
		}
	}
	visit("verify")
	for _, want := range []string{"verify/rules.go", "verify/internal/rules/classify.go", "verify/internal/rules/libraries.yaml", "verify/internal/loader/loader.go", "compat/tables.go"} {
		if !slices.Contains(covered, want) {
			t.Errorf("the version of the rules omits %s", want)
		}
	}
}
