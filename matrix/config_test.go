// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/matrix"
)

// TestConfig: each cell has what all have and what the entries that name it add, to the
// letter, in every group and release.
func TestConfig(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/good/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, "tags: {'{cuda}-{kind}-{yy}.{mm}': '*-devel-debian13'}\n"...)
	m, err := matrix.Parse("matrix.yaml", data, catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	stamped, err := m.Stamped("26.11")
	if err != nil {
		t.Fatal(err)
	}
	const odd = `5$ ${HOME} ${{ secrets.X }} \ " '`
	source := map[string]string{"org.opencontainers.image.source": "https://git.example/acme/cuda", "com.example/team": "gpu"}
	vendor := map[string]string{"org.opencontainers.image.source": "https://git.example/acme/cuda", "com.example/team": "gpu", "org.opencontainers.image.vendor": "Acme"}
	region := map[string]string{"ACME_REGION": "eu", "ACME_PRICE": odd}
	tier := map[string]string{"ACME_REGION": "eu", "ACME_PRICE": odd, "ACME_TIER": "2"}
	for id, want := range map[string]struct{ labels, env map[string]string }{
		"12.4-base-debian13":    {source, region},
		"12.4-runtime-debian13": {source, region},
		"12.4-devel-debian13":   {vendor, map[string]string{"ACME_REGION": "eu", "ACME_PRICE": odd, "CUDA_HOME": "/usr"}},
		"12.4-nbody-debian13":   {source, tier},
		"11.8-base-debian12":    {source, tier},
	} {
		for _, of := range []*matrix.Matrix{m, stamped} {
			cell, err := of.Find("default", id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.labels, cell.Labels); diff != "" {
				t.Errorf("%s: labels (-want +got):\n%s", id, diff)
			}
			if diff := cmp.Diff(want.env, cell.Env); diff != "" {
				t.Errorf("%s: env (-want +got):\n%s", id, diff)
			}
			cell.Env["ACME_REGION"] = "changed" // shares nothing
		}
	}
}

// TestConfigBounds: what every cell would have is bounded, and so is each value.
func TestConfigBounds(t *testing.T) {
	t.Parallel()
	many := "env: {"
	for i := range 101 {
		many += fmt.Sprintf("A%d: x, ", i)
	}
	c := catalog(t)
	for want, text := range map[string]string{
		"101 labels and variables, 0 globs: more than 100 or 2000": many + "}",
		"env A: it has 4097 bytes":                                 "env: {A: " + strings.Repeat("x", 4097) + "}",
		"is not the name of a label":                               "labels: {" + strings.Repeat("x", 256) + ": x}",
	} {
		_, err := matrix.Parse("matrix.yaml", []byte("version: 1\nimage: cuda\ngroups: {a: [{os: [debian13], cuda: ['12.4']}]}\n"+text+"\n"), c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse = %v, want %q", err, want)
		}
	}
}
