// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/schema"
	"github.com/cudabuild/cudabuild/internal/schema/schematest"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/spec"
)

// onlyParsed are the bad files in which a schema sees nothing wrong: what is wrong is
// between two places of the file, or no longer there when YAML is read.
var onlyParsed = []string{"circle", "config-cells", "gates", "impossible-pair", "impossible-sample", "merge-key", "tags-clash", "two-documents", "version-float", "yaml-tag"}

// TestSchemaFiles: the schema takes every good file, and refuses every bad one that it can.
func TestSchemaFiles(t *testing.T) {
	t.Parallel()
	check := schematest.Compile(t, matrix.Schema(catalog(t)))
	for _, file := range append(yamlFiles(t, "good"), "../matrix.yaml") {
		if err := check(asJSON(t, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	var passed []string
	for _, file := range yamlFiles(t, "bad") {
		if data := asJSON(t, file); data != nil && check(data) == nil {
			passed = append(passed, strings.TrimSuffix(filepath.Base(file), ".yaml"))
		}
	}
	if diff := cmp.Diff(onlyParsed, passed); diff != "" {
		t.Errorf("bad files that the schema takes (-want +got):\n%s", diff)
	}
}

func asJSON(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return yamlToJSON(data)
}

// yamlToJSON returns YAML as JSON, nil if it is not even YAML.
func yamlToJSON(data []byte) []byte {
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		return nil
	}
	data, err := json.Marshal(value)
	if err != nil { // keys that are no strings
		return nil
	}
	return data
}

// TestSchemaKeys: the schema and the parser know the same keys, and want the same ones.
func TestSchemaKeys(t *testing.T) {
	t.Parallel()
	top := matrix.Schema(catalog(t))
	entry := top.Properties["groups"].Additional.(*schema.Schema).Items.AnyOf[0]
	tests := map[string]struct {
		schema *schema.Schema
		around string // the mapping is at %s
		what   string
	}{
		"top":      {top, "%s", "the matrix"},
		"defaults": {top.Properties["defaults"], "{version: 1, image: cuda, groups: {a: [{os: [debian13], cuda: ['12.4']}]}, defaults: %s}", "defaults"},
		"entry":    {entry, "{version: 1, image: cuda, groups: {a: [%s]}}", `an entry of group "a"`},
		"exclude":  {entry.Properties["exclude"].Items, "{version: 1, image: cuda, groups: {a: [{os: [debian13], cuda: ['12.4'], exclude: [%s]}]}}", "an entry of exclude"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := matrix.Parse("f", fmt.Appendf(nil, test.around, "{zzzzzzzzzzzz: 1}"), catalog(t))
			var problems spec.Problems
			errors.As(err, &problems)
			var known, missing []string
			for _, p := range problems {
				if strings.Contains(p.Message, "unknown key") && strings.HasSuffix(p.Message, " in "+test.what) {
					known = strings.Split(strings.TrimPrefix(p.Hint, "known: "), ", ")
				}
				if key, ok := strings.CutPrefix(p.Message, "missing key "); ok && strings.HasSuffix(key, " in "+test.what) {
					missing = append(missing, strings.Trim(strings.TrimSuffix(key, " in "+test.what), `"`))
				}
			}
			slices.Sort(known)
			var keys []string
			for key := range test.schema.Properties {
				keys = append(keys, key)
			}
			slices.Sort(keys)
			if diff := cmp.Diff(known, keys); diff != "" {
				t.Errorf("keys (-parser +schema):\n%s", diff)
			}
			if diff := cmp.Diff(missing, test.schema.Required); diff != "" {
				t.Errorf("required (-parser +schema):\n%s", diff)
			}
			if test.schema.Additional != false {
				t.Error("the schema takes other keys")
			}
		})
	}
}
