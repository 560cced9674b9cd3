// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	spdx "github.com/spdx/tools-golang/json"
)

// TestSchema judges the documents of images and of a release by the JSON Schema that SPDX publishes.
func TestSchema(t *testing.T) {
	t.Parallel()
	schema := ofSPDX(t)
	documents := ofImages(t)
	programs, err := read(folder(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	var release bytes.Buffer
	if err := spdx.Write(document("cudabuild-v1.2.3-linux-amd64", time.Unix(1e9, 0), programs), &release); err != nil {
		t.Fatal(err)
	}
	documents["a release"] = release.Bytes()
	for file, data := range documents {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		delete(value.(map[string]any), "name")
		if err := schema.Validate(value); err == nil {
			t.Errorf("%s: the schema takes it without a name", file)
		}
	}
}

// ofSPDX is the schema in the file that CUDABUILD_SPDX_SCHEMA names: schemas/spdx-schema.json of SPDX 2.3, which is not
// ours to commit. Without it the test is skipped, but not where CUDABUILD_REQUIRE names spdx.
func ofSPDX(t *testing.T) *jsonschema.Schema {
	t.Helper()
	file := os.Getenv("CUDABUILD_SPDX_SCHEMA")
	if file == "" {
		if slices.Contains(strings.Split(os.Getenv("CUDABUILD_REQUIRE"), ","), "spdx") {
			t.Fatal("CUDABUILD_SPDX_SCHEMA names no file, and CUDABUILD_REQUIRE names spdx")
		}
		t.Skip("CUDABUILD_SPDX_SCHEMA names no file")
	}
	schema, err := jsonschema.NewCompiler().Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
