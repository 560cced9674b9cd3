// SPDX-License-Identifier: Apache-2.0

package emit_test

import (
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/cudabuild/cudabuild/emit"
	"github.com/cudabuild/cudabuild/recipes"
)

// TestOwnFlavors: a Dockerfile has a stage for each flavor of the user's, and the package
// manager runs in those with packages alone.
func TestOwnFlavors(t *testing.T) {
	t.Parallel()
	c, err := recipes.Load("../recipes/testdata/own")
	if err != nil {
		t.Fatal(err)
	}
	cells := groupOf(t, strings.ReplaceAll(everything, "[base, runtime, devel]", "[acme-base, motd-base]"), c, "vendor", "9.0-*-base-*")
	text, err := emit.Dockerfile(cells)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(file.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	installs := map[string]bool{}
	for _, stage := range stages {
		for _, command := range stage.Commands {
			if run, ok := command.(*instructions.RunCommand); ok && stage.BaseName == "base" {
				installs[stage.Name] = strings.Contains(run.Files[0].Data, "sh -eu /run/cudabuild/install")
			}
		}
	}
	if !installs["acme-base"] || installs["motd-base"] || len(installs) != 2 {
		t.Errorf("stages on base, and whether they install: %v", installs)
	}
}
