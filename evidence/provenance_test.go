// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/record"
)

func sha(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// made is an image of a vendor's packages, as a run records it.
func made(platform string, change func(*record.Made)) record.Made {
	m := record.Made{
		Digest: sha("a"), Cell: "12.4-nbody-ubuntu22.04", Group: "default", OS: "ubuntu22.04", CUDA: "12.4", Sample: "nbody", Platform: platform, Compression: "zstd",
		Plan: sha("1"), Tools: map[string]string{"cudabuild": "v0.2.0", "buildkitd": "v0.33.1"},
		Parts: []record.Part{
			{Kind: record.MatrixPart, Digest: sha("2")},
			{Kind: record.RootPart, Name: "docker.io/library/ubuntu@" + sha("3"), Digest: sha("3")},
			{Kind: record.ListsPart, Digest: sha("4"), Date: created},
			{Kind: record.RepositoryPart, Name: "https://developer.example/repos/Release", Digest: sha("5"), Date: created},
			{Kind: record.RepositoryPart, Name: "http://archive.example/dists/jammy/InRelease", Date: created.Add(-time.Hour)},
			{Kind: record.KeyPart, Name: "https://developer.example/repos/3bf863cc.pub"},
			{Kind: record.RecipePart, Name: "toolkit/12.4.yaml", Digest: sha("7")},
			{Kind: record.SourcePart, Name: "nbody.cu", Digest: sha("8")},
		},
	}
	if change != nil {
		change(&m)
	}
	return m
}

// TestProvenance: an index is of all that its images are of, and what they share is said once.
func TestProvenance(t *testing.T) {
	t.Parallel()
	arm := made("linux/arm64", func(m *record.Made) {
		m.Plan, m.Tools["buildkitd"] = sha("9"), "v0.32.0"
		m.Parts[1] = record.Part{Kind: record.RootPart, Name: "docker.io/library/ubuntu@" + sha("b"), Digest: sha("b")}
	})
	d, err := evidence.NewProvenance(subject, created, made("linux/amd64", nil), arm)
	d = check(t, d, err)
	turned := made("linux/amd64", func(m *record.Made) { slices.Reverse(m.Parts) })
	again, err := evidence.NewProvenance(subject, created, turned, arm)
	if err != nil || again.Digest() != d.Digest() {
		t.Errorf("NewProvenance of parts in another order: %v, %s, want %s", err, again.Statement(), d.Statement())
	}
}

// TestLessProvenance: what nobody has noted is left out, and images of two cells are a mistake.
func TestLessProvenance(t *testing.T) {
	t.Parallel()
	d, err := evidence.NewProvenance(subject, created, made("linux/amd64", func(m *record.Made) { m.Tools = nil }))
	if err != nil || strings.Contains(string(d.Predicate), "version") {
		t.Errorf("NewProvenance without tools = %s, %v, want no version", d.Predicate, err)
	}
	d, err = evidence.NewProvenance(subject, created, record.Made{Digest: sha("a"), Cell: "12.4-base-debian13", Platform: "linux/amd64"})
	want := `{"buildDefinition":{"buildType":"https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md#provenance",` +
		`"externalParameters":{"cell":"12.4-base-debian13","platforms":["linux/amd64"]},"resolvedDependencies":[]},` +
		`"runDetails":{"builder":{"id":"https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md#provenance"}}}`
	if err != nil || string(d.Predicate) != want {
		t.Errorf("NewProvenance of an older record = %s, %v, want %s", d.Predicate, err, want)
	}
	if _, err := evidence.NewProvenance(subject, created); err == nil {
		t.Error("NewProvenance of nothing: no error")
	}
	if _, err := evidence.NewProvenance(subject, created, made("linux/amd64", nil), made("linux/arm64", func(m *record.Made) { m.Cell = "x" })); err == nil {
		t.Error("NewProvenance of two cells: no error")
	}
}
