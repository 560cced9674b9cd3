// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/build"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// TestElsewhereCannotPull: where this machine makes no roots, the BuildKit that was named does,
// and if it cannot have the image for that, the run ends and says how it could.
func TestElsewhereCannotPull(t *testing.T) { // not parallel: it sets the environment
	overlay := t.TempDir()
	const image = "127.0.0.1:9/nobody/tiny:1"
	recipe := "{os: tiny, title: Tiny, source: test, manager: tiny, bootstrap: {suite: tiny, size_mb: 1, image: \"" + image + "\"}}\n"
	if err := errors.Join(os.Mkdir(filepath.Join(overlay, "os"), 0o755), os.WriteFile(filepath.Join(overlay, "os", "tiny.yaml"), []byte(recipe), 0o600)); err != nil {
		t.Fatal(err)
	}
	h := &house{state: t.TempDir(), out: t.TempDir(), catalog: load(t, overlay), show: &watcher{}}
	h.address, _ = given(t)
	t.Setenv("PATH", t.TempDir()) // without mmdebstrap
	r, err := h.run(t.Context(), t, "12.1-*")
	var pull *build.PullError
	if !errors.As(err, &pull) || !errors.Is(err, base.ErrUnavailable) || r.Totals.Cancelled != r.Totals.Cells {
		t.Fatalf("Run = %+v, %v, want a PullError and all cells cancelled", r, err)
	}
	for _, word := range []string{image, h.address, "tiny"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not name %q", err, word)
		}
	}
	for _, word := range []string{"buildkitd.toml", "bootstrap.image", "--recipes", "as root"} {
		if !strings.Contains(hint.Of(err), word) {
			t.Errorf("the hint %q does not name %q", hint.Of(err), word)
		}
	}
	if said := h.show.String(); !strings.Contains(said, "[tiny] bootstrap tiny for linux/amd64 in BuildKit") {
		t.Errorf("progress does not say where the root is made:\n%s", said)
	}
	if left, _ := filepath.Glob(filepath.Join(h.state, "bases", "make-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
