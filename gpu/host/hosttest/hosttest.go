// SPDX-License-Identifier: Apache-2.0

// Package hosttest is what tests of containers and of what runs them begin with.
package hosttest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/internal/require"
)

// Main runs the tests of a package whose test binary is also the first process of its
// containers, and returns the exit code.
func Main(m *testing.M) int {
	if len(os.Args) == 3 && os.Args[1] == "inside" {
		if err := container.Inside(context.Background(), os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	return m.Run()
}

// Runner is a runner in a folder of the test's own, with the programs of bin two folders
// above the package.
func Runner(t testing.TB) *container.Runner {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tool := func(name string) string { return require.Tool(t, "../../bin", name) }
	return &container.Runner{
		Dir: filepath.Join(t.TempDir(), "runs"), Inside: []string{self, "inside"},
		Runc: tool("runc"), Hook: tool("nvidia-cdi-hook"), Runtime: tool("nvidia-container-runtime"),
	}
}
