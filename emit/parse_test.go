// SPDX-License-Identifier: Apache-2.0

package emit_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/cudabuild/cudabuild/emit"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/samples"
)

// TestDockerfilesParse reads the Dockerfile of every family of the catalog with
// BuildKit's own parser: each cell has its stage, every stage stands on one above it,
// and sample sources come through byte for byte.
func TestDockerfilesParse(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	of := map[string][]matrix.Cell{}
	for _, cell := range everyCell(t, c) {
		of[cell.CUDA+" "+cell.OS] = append(of[cell.CUDA+" "+cell.OS], cell)
	}
	for name, cells := range of {
		text, err := emit.Dockerfile(cells)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		stages, _, err := instructions.Parse(file.AST, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		checkStages(t, name, stages, cells)
	}
	if len(of) < 100 {
		t.Errorf("%d families, want every one of the catalog", len(of))
	}
}

func checkStages(t *testing.T, name string, stages []instructions.Stage, cells []matrix.Cell) {
	t.Helper()
	above := []string{"scratch"}
	for i, stage := range stages {
		from := strings.Replace(stage.BaseName, "${TARGETARCH}", "amd64", 1)
		if i > 0 && !slices.Contains(above, from) {
			t.Errorf("%s: stage %s stands on %s, want one of %v", name, stage.Name, from, above)
		}
		above = append(above, stage.Name)
		checkCaches(t, name, cells[0], stage)
		for _, command := range stage.Commands {
			if copied, ok := command.(*instructions.CopyCommand); ok {
				checkSources(t, name, copied)
			}
		}
	}
	for _, cell := range cells {
		if !slices.Contains(above, emit.Stage(cell)) {
			t.Errorf("%s: no stage %s for %s in %v", name, emit.Stage(cell), cell.ID, above)
		}
	}
}

// checkCaches wants the IDs that package llb gives: platforms and releases that
// shared a cache would wait for each other. BuildKit expands what the stage has declared.
func checkCaches(t *testing.T, name string, cell matrix.Cell, stage instructions.Stage) {
	t.Helper()
	declared := map[string]string{}
	for _, command := range stage.Commands {
		switch c := command.(type) {
		case *instructions.ArgCommand:
			declared[c.Args[0].Key] = "linux/arm64"
		case *instructions.RunCommand:
			expand := func(word string) (string, error) {
				return regexp.MustCompile(`\$\{\w+\}`).ReplaceAllStringFunc(word, func(v string) string { return declared[v[2:len(v)-1]] }), nil
			}
			if err := c.Expand(expand); err != nil {
				t.Fatal(err)
			}
			for _, m := range instructions.GetMounts(c) {
				if want := "cudabuild/" + cell.OS + "/linux/arm64/" + cell.CUDA + m.Target; m.Type == instructions.MountTypeCache && m.CacheID != want {
					t.Errorf("%s: stage %s has the cache %s, want %s", name, stage.Name, m.CacheID, want)
				}
			}
		}
	}
}

func checkSources(t *testing.T, name string, copied *instructions.CopyCommand) {
	t.Helper()
	texts := map[string]string{samples.HeaderFile: samples.Header}
	for _, name := range samples.Names() {
		s, _ := samples.Lookup(name)
		texts[s.File] = s.Source
	}
	for _, content := range copied.SourceContents {
		want, isSource := texts[path.Base(copied.DestPath)]
		if isSource && (content.Data != want || content.Expand) {
			t.Errorf("%s: %s is not the sample's source", name, copied.DestPath)
		}
	}
}
