// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cudabuild/cudabuild/record"
)

// TestMade: the record says of what and by what each image was made, in the same words whatever
// the folder, and of an image that was there what was noted when it was made.
func TestMade(t *testing.T) {
	t.Parallel()
	h, other := newHouse(t), newHouse(t)
	first := h.done(t, "12.1-base-*", "12.1-nbody-*")
	if diff := cmp.Diff(made(first), made(other.done(t, "12.1-base-*", "12.1-nbody-*"))); diff != "" {
		t.Errorf("in another folder (-first +other):\n%s", diff)
	}
	if diff := cmp.Diff(made(first), made(h.done(t, "12.1-base-*", "12.1-nbody-*"))); diff != "" {
		t.Errorf("again (-first +again):\n%s", diff)
	}
	base, nbody := first.Cells[0].Made[0], first.Cells[1].Made[0]
	want := record.Made{Cell: "12.1-base-tiny", Group: "default", OS: "tiny", CUDA: "12.1", Flavor: "base", Platform: "linux/amd64", Compression: "zstd"}
	ignored := cmpopts.IgnoreFields(record.Made{}, "Digest", "Plan", "Parts", "Tools")
	if diff := cmp.Diff(want, base, ignored); diff != "" {
		t.Errorf("of base (-want +got):\n%s", diff)
	}
	if base.Digest != first.Cells[0].Digest || base.Tools["buildkitd"] == "" || base.Tools["runc"] == "" || base.Tools["cudabuild"] != "v0" || base.Plan == nbody.Plan {
		t.Errorf("of base: %+v", base)
	}
	var parts []string
	for _, p := range nbody.Parts {
		parts = append(parts, p.Kind+" "+p.Name)
		if !strings.HasPrefix(p.Digest, "sha256:") {
			t.Errorf("part %+v has no digest", p)
		}
	}
	if diff := cmp.Diff([]string{"matrix ", "root ", "lists ", "recipe cuda/12.1-tiny.yaml", "recipe manager/tiny.yaml", "recipe os/tiny.yaml", "source nbody.cu"}, parts); diff != "" {
		t.Errorf("parts of nbody (-want +got):\n%s", diff)
	}
}

// TestMadeBefore: images that an earlier cudabuild left are not made by the tools of now, and
// once something is noted it stays.
func TestMadeBefore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.done(t, "12.1-base-*")
	h.forgetMade(t)
	r := h.done(t, "12.1-base-*")
	if m := r.Cells[0].Made[0]; m.Tools != nil || m.Digest != r.Cells[0].Digest || len(m.Parts) == 0 {
		t.Errorf("of an image that was there: %+v, want no tools", m)
	}
	h.matrix = tinyMatrix + "\n# more\n"
	if diff := cmp.Diff(made(r), made(h.done(t, "12.1-base-*"))); diff != "" {
		t.Errorf("by another matrix (-first +again):\n%s", diff)
	}
}

// forgetMade takes out of the memo what images were made of, as an earlier cudabuild left it.
func (h *house) forgetMade(t *testing.T) {
	t.Helper()
	memo := filepath.Join(h.out, "images", ".builds.json")
	data, err := os.ReadFile(memo)
	if err != nil {
		t.Fatal(err)
	}
	var images map[string]map[string]any
	if err := json.Unmarshal(data, &images); err != nil {
		t.Fatal(err)
	}
	for _, image := range images {
		delete(image, "made")
	}
	if data, err = json.Marshal(images); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(memo, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func made(r *record.Run) (all []record.Made) {
	for _, c := range r.Cells {
		all = append(all, c.Made...)
	}
	return all
}
