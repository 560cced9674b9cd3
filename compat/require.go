// SPDX-License-Identifier: Apache-2.0

package compat

import "fmt"

// minorFloors maps a CUDA major release to the oldest Linux driver that runs every
// minor release of it (minor-version compatibility).
// Source: NVIDIA, CUDA Compatibility guide, "Minor Version Compatibility".
var minorFloors = map[int]string{
	11: "450.80.02",
	12: "525.60.13",
	13: "580.65.06",
}

// MinorFloor returns the oldest driver that runs every minor release of cuda's
// major release, and false where there is no such promise (10.2 and older, and
// majors newer than this table).
func MinorFloor(cuda string) (driver string, ok bool) {
	driver, ok = minorFloors[Major(cuda)]
	return driver, ok
}

// RequireCUDA returns NVIDIA_REQUIRE_CUDA for an image of that CUDA release which
// ships no cuda-compat: the minor-version floor where one is promised, else the
// release itself. Such an image must not admit the older branches that NVIDIA's
// strings list, because those run only with cuda-compat.
func RequireCUDA(cuda string) string {
	if driver, ok := MinorFloor(cuda); ok {
		return "driver>=" + driver
	}
	return fmt.Sprintf("cuda>=%s", cuda)
}
