// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !cgo

package nvidia

import "github.com/cudabuild/cudabuild/gpu"

// Driver is never made by this build.
type Driver struct{}

// Open returns gpu.ErrNoSupport.
func Open() (*Driver, error) { return nil, gpu.ErrNoSupport }

// Close does nothing.
func (*Driver) Close() error { return gpu.ErrNoSupport }

// Describe returns gpu.ErrNoSupport.
func (*Driver) Describe(*gpu.Host) error { return gpu.ErrNoSupport }

// Spec returns gpu.ErrNoSupport.
func (*Driver) Spec([]string, string) ([]byte, error) { return nil, gpu.ErrNoSupport }

// Supported says whether this build can ask a driver.
const Supported = false
