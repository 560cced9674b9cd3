// SPDX-License-Identifier: Apache-2.0

package compat

import "fmt"

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
