// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/package-url/packageurl-go"
	spdx "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
)

// ofImages are the documents that go with images, goldens of package evidence, by their files.
func ofImages(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, file := range []string{"../../evidence/testdata/sbom.json", "../../evidence/testdata/index.spdx.json"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var statement struct{ Predicate json.RawMessage }
		if err := json.Unmarshal(data, &statement); err != nil {
			t.Fatal(err)
		}
		if statement.Predicate != nil {
			data = statement.Predicate
		}
		all[file] = data
	}
	return all
}

// TestOfImages reads the documents of images with another reader's rules: nothing
// of them is unknown to it, relations are between what there is, and package URLs are those of the packages.
func TestOfImages(t *testing.T) {
	t.Parallel()
	for file, data := range ofImages(t) {
		strict := json.NewDecoder(bytes.NewReader(data))
		strict.DisallowUnknownFields()
		var d v2_3.Document
		if err := strict.Decode(&d); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if err := spdx.ReadInto(bytes.NewReader(data), &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := spdxlib.ValidateDocument(&d); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, p := range d.Packages {
			for _, ref := range p.PackageExternalReferences {
				url, err := packageurl.FromString(ref.Locator)
				if name := strings.ToLower(strings.ReplaceAll(p.PackageName, "_", "-")); err != nil || !strings.HasSuffix(name, strings.ToLower(url.Name)) || !strings.HasSuffix(p.PackageVersion, url.Version) {
					t.Errorf("%s: %s %s is at %s, %v", file, p.PackageName, p.PackageVersion, ref.Locator, err)
				}
			}
		}
	}
}
