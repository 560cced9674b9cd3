// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package hosttest

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/host"
	"github.com/cudabuild/cudabuild/gpu/nvidia"
	"github.com/cudabuild/cudabuild/gpu/rootfs"
	"github.com/cudabuild/cudabuild/internal/standin"
)

// Version is the driver's of [New].
const Version = "580.159.04"

// New is a host of two stand-in GPUs, of which request are used.
func New(t testing.TB, request string) host.Host {
	t.Helper()
	roots, err1 := rootfs.Open(filepath.Join(t.TempDir(), "roots"))
	driver, err2 := nvidia.StandIn(standin.NVML(t, Version, 2), standin.DriverRoot(t, Version, 2))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = driver.Close() })
	h := host.Host{Roots: roots, Driver: driver, Runner: Runner(t)}
	err := driver.Describe(&h.Facts)
	if err == nil {
		h.GPUs, err = gpu.Select(h.Facts.GPUs, request)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}
