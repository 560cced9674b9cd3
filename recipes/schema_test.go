// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/schema/schematest"
	"github.com/cudabuild/cudabuild/recipes"
)

// TestSchema: the schema of each folder takes every recipe in it, and nothing of another folder.
func TestSchema(t *testing.T) {
	t.Parallel()
	for _, kind := range recipes.Kinds() {
		check := schematest.Compile(t, recipes.Schema(kind))
		for _, folder := range recipes.Kinds() {
			if folder == "flavor" { // cudabuild has none of its own
				folder = "testdata/own/flavor"
			}
			files, err := filepath.Glob(folder + "/*.yaml")
			if err != nil || len(files) == 0 {
				t.Fatalf("no recipes in %s: %v", folder, err)
			}
			for _, file := range files {
				if err := check(asJSON(t, file)); (err == nil) != (kind == filepath.Base(folder)) {
					t.Errorf("schema %s, %s: %v", kind, file, err)
				}
			}
		}
		for _, text := range []string{`{"sauce": "x"}`, `[]`, `"x"`} {
			if check([]byte(text)) == nil {
				t.Errorf("schema %s takes %s", kind, text)
			}
		}
	}
}

// asJSON returns a recipe as an editor sees it: dates are strings in YAML 1.2.
func asJSON(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		t.Fatal(err)
	}
	undated(&node)
	var value any
	if err := node.Decode(&value); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func undated(n *yaml.Node) {
	if n.ShortTag() == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, child := range n.Content {
		undated(child)
	}
}
