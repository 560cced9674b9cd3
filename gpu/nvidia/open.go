// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package nvidia

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/cudabuild/cudabuild/gpu"
)

// Supported says whether this build can ask a driver.
const Supported = true

// Driver is the loaded management library of the host's driver.
type Driver struct {
	lib     nvml.Interface
	folder  string // of the driver's libraries, "" if the dynamic linker finds them
	root    string // of the driver's files, "/" but for stand-ins
	standIn bool
}

// Open loads the management library. The error wraps [gpu.ErrNoDriver] where there
// is none that works, and says why. Close must be called.
func Open() (*Driver, error) {
	folder, options := findLibraries(), []nvml.LibraryOption{}
	if folder != "" {
		options = append(options, nvml.WithLibraryPath(filepath.Join(folder, library)))
	}
	d := &Driver{lib: nvml.New(options...), folder: folder, root: "/"}
	return d, d.init()
}

// StandIn returns a Driver of which everything that is made is marked as a stand-in:
// lib answers, and root holds the files that would be the driver's.
func StandIn(lib nvml.Interface, root string) (*Driver, error) {
	d := &Driver{lib: lib, root: root, standIn: true}
	return d, d.init()
}

func (d *Driver) init() error {
	if ret := d.lib.Init(); ret != nvml.SUCCESS {
		return fmt.Errorf("%w: %s", gpu.ErrNoDriver, explain(ret))
	}
	return nil
}

// Close gives the library back.
func (d *Driver) Close() error { return check("shut NVML down", d.lib.Shutdown()) }

// explain says what an error of the library means for people.
func explain(ret nvml.Return) string {
	switch ret {
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return "its library " + library + " is nowhere to be found"
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return "its kernel module is not loaded"
	case nvml.ERROR_LIB_RM_VERSION_MISMATCH:
		return "its library and its kernel module are of different versions (updated and not loaded again: restart the host)"
	case nvml.ERROR_NO_PERMISSION:
		return "this user may not open /dev/nvidiactl"
	}
	return nvml.ErrorString(ret)
}

func check(what string, ret nvml.Return) error {
	if ret == nvml.SUCCESS {
		return nil
	}
	return errors.New(what + ": " + explain(ret))
}
