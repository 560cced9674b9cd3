// SPDX-License-Identifier: Apache-2.0

// Package require decides what a test does on a machine that lacks something.
//
// [Missing] skips the test, saying why; but if the environment variable
// CUDABUILD_REQUIRE names the missing thing, it fails it: CI sets that, so that it
// cannot pass by skipping. [Whole] asks for it. [Tool] finds a pinned program for tests that start
// containers.
package require

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whole reports whether CUDABUILD_REQUIRE names what: a test that is long may do a part
// of its work where it does not.
func Whole(what string) bool {
	return slices.Contains(strings.Split(os.Getenv("CUDABUILD_REQUIRE"), ","), what)
}

// Missing ends the test because the machine lacks what ("buildkit", "registry",
// "gpu"); cause says how that was found out.
func Missing(t testing.TB, what string, cause error) {
	t.Helper()
	if Whole(what) {
		t.Fatalf("no %s, and CUDABUILD_REQUIRE names it: %v", what, cause)
	}
	t.Skipf("no %s: %v", what, cause)
}

// Tool returns the path of a pinned program in dir, which needs root to be of use;
// without either, "runc" is missing.
func Tool(t testing.TB, dir, name string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		_, err = os.Stat(file)
	}
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("not root")
	}
	if err != nil {
		Missing(t, "runc", err)
	}
	return file
}
