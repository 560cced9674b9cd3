// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package e2e_test builds real images from real packages with a real BuildKit, and
// looks at them with other people's tools. It needs root, bin/ and the network that
// apt uses, and about 30 GB of disk.
package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/record"
)

// cells are the images of debian13 x 12.4, in the order of the plan.
var cells = []string{
	"12.4-base-debian13", "12.4-runtime-debian13", "12.4-devel-debian13",
	"12.4-deviceQuery-debian13", "12.4-nbody-debian13",
}

// patience is how long a daemon may take to answer, on a busy machine.
const patience = 2 * time.Minute

// fixture is the state directory and the output folder of a test.
type fixture struct{ state, out, program, matrix string }

func newFixture(t testing.TB) fixture {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("CUDABUILD_E2E_DIR") // kept, to look at; else a temporary one
	if dir == "" {
		dir = t.TempDir()
	}
	dir = filepath.Join(dir, t.Name())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return fixture{
		state: filepath.Join(dir, "state"), out: filepath.Join(dir, "out"),
		program: filepath.Join(root, "bin", "cudabuild"), matrix: filepath.Join(root, "matrix.yaml"),
	}
}

// result is how one command ended.
type result struct {
	stdout, stderr string
	code           int
}

func run(t testing.TB, name string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// build runs `cudabuild matrix` and returns its record and exit code.
func (f fixture) build(t testing.TB, args ...string) (record.Run, result) {
	t.Helper()
	args = append([]string{"matrix", "--json", "-f", f.matrix, "--state-dir", f.state, "--out", f.out}, args...)
	r := run(t, f.program, args...)
	var doc record.Run
	if r.stdout != "" {
		if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
			t.Fatalf("matrix --json: %v\n%s", err, r.stdout)
		}
	}
	return doc, r
}

func (f fixture) oci(tag string) string { return "oci:" + filepath.Join(f.out, "images") + ":" + tag }

// tags are the tags in the layout's index, sorted.
func (f fixture) tags(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.out, "images", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Manifests []struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	var tags []string
	for _, m := range index.Manifests {
		tag := m.Annotations["org.opencontainers.image.ref.name"]
		if full := m.Annotations["io.containerd.image.name"]; full != "cuda:"+tag {
			t.Errorf("image %s has the full name %q", tag, full)
		}
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	return tags
}

func digests(doc record.Run) map[string]string {
	m := map[string]string{}
	for _, c := range doc.Cells {
		m[c.ID] = c.Digest
	}
	return m
}

// built are the cells that the run did not find unchanged.
func built(doc record.Run) []string {
	var ids []string
	for _, c := range doc.Cells {
		if !c.Cached {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func mustContain(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not contain %q:\n%s", what, want, text)
		}
	}
}
