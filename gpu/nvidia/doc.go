// SPDX-License-Identifier: Apache-2.0

// Package nvidia asks the host's driver, through its management library (NVML) and
// NVIDIA's own code for CDI specifications. Both need cgo, so this is the only package
// that does: where the program was built without it, or not for Linux, [Open] returns
// [gpu.ErrNoSupport] and nothing else changes.
//
// [Open] loads the library and [Driver.Describe] fills a [gpu.Host] from it;
// [Driver.Spec] makes the specification of one run. It changes nothing on the host,
// unless it is told to load kernel modules ([LoadKernelModules]).
package nvidia
