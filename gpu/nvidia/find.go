// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package nvidia

import (
	"os"
	"path/filepath"
)

// library is the management library's name at run time.
const library = "libnvidia-ml.so.1"

// usual are the folders in which the dynamic linker, or nvcdi by itself, looks.
var usual = []string{
	"/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64",
	"/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/lib/aarch64-linux-gnu/nvidia/current",
}

// elsewhere are folders that some installations use and tell the linker nothing of.
var elsewhere = []string{"/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib", "/opt/nvidia/lib64", "/run/opengl-driver/lib"}

// findLibraries returns the folder of the driver's libraries if it is one of those
// in which nobody looks, else "". What LD_LIBRARY_PATH names goes first.
func findLibraries() string {
	for _, dir := range usual {
		if has(dir) {
			return ""
		}
	}
	for _, dir := range append(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")), elsewhere...) {
		if has(dir) {
			return dir
		}
	}
	return ""
}

func has(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, library)) //nolint:gosec // where the user says that libraries are
	return err == nil && filepath.IsAbs(dir)
}
