// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/record"
)

// TestKeepGoing: --keep-going=false ends a run at its first failed cell, as --fail-fast does.
// One of the cells to be cancelled sleeps an hour.
func TestKeepGoing(t *testing.T) {
	t.Parallel()
	needEngine(t)
	if _, err := os.Stat("../bin/cudabuild"); err != nil {
		require.Missing(t, "buildkit", err)
	}
	for _, flag := range []string{"--keep-going=false", "--fail-fast"} {
		t.Run(flag, func(t *testing.T) {
			dir := t.TempDir()
			state, out, matrix := filepath.Join(dir, "state"), filepath.Join(dir, "out"), filepath.Join(dir, "tiny.yaml")
			furnish(t, state, out)
			if err := os.WriteFile(matrix, []byte(tinyMatrix), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "../bin/cudabuild", "matrix", "--json", "--unpinned", "--recipes", "testdata/recipes",
				"-f", matrix, "--state-dir", state, "--out", out, flag, "--only", "12.2-base-*", "--only", "12.2-runtime-*", "--only", "12.3-*")
			data, err := cmd.Output()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Fatalf("%v: want exit code 1", err)
			}
			var r record.Run
			if err := json.Unmarshal(data, &r); err != nil {
				t.Fatal(err)
			}
			if got := states(&r); got["12.2-runtime-tiny"] != "failed build" || got["12.3-nbody-tiny"] != "cancelled" {
				t.Errorf("cells = %v", got)
			}
		})
	}
}
