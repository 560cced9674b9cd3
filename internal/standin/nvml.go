// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package standin

import (
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/gpus"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"
)

// NVML is NVIDIA's own mock of NVML with that many H100s and that driver version,
// completed by what nvcdi asks besides.
func NVML(t testing.TB, version string, count int) *server.Server {
	t.Helper()
	lib, err := server.New(server.WithGPUs(gpus.Multiple(count, gpus.H100_SXM5_80GB)...),
		server.WithDriverVersion(version), server.WithNVMLVersion("13."+version), server.WithCUDADriverVersion(13000))
	if err != nil {
		t.Fatal(err)
	}
	for _, handle := range lib.Devices {
		d := handle.(*server.Device)
		d.IsMigDeviceHandleFunc = func() (bool, nvml.Return) { return false, nvml.SUCCESS }
		d.GetMaxMigDeviceCountFunc = func() (int, nvml.Return) { return 0, nvml.SUCCESS }
		d.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) {
			var p nvml.PciInfo
			for k, c := range []byte("0000" + d.PciBusID) {
				p.BusId[k] = int8(c)
			}
			return p, nvml.SUCCESS
		}
		d.GetP2PStatusFunc = func(nvml.Device, nvml.GpuP2PCapsIndex) (nvml.GpuP2PStatus, nvml.Return) {
			return nvml.P2P_STATUS_OK, nvml.SUCCESS
		}
	}
	return lib
}
