// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/cudabuild/cudabuild/bench/corpus/recall"
	"github.com/cudabuild/cudabuild/internal/require"
)

// TestRealDrivers judges every file of the two smallest drivers that Debian carries, under
// every disguise: about 105 MB to download. `make corpus` has all of them.
func TestRealDrivers(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			require.Missing(t, "apt", err)
		}
	}
	releases, err := recall.Releases(t.Context(), t.TempDir(), "340", "390")
	if errors.Is(err, recall.ErrNoMirror) {
		require.Missing(t, "mirror", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var score recall.Score
	for _, r := range releases {
		if err := score.Judge(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := score.Verdict(); err != nil {
		t.Error(err)
	}
	t.Log(score.Page())
}
