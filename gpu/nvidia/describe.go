// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package nvidia

import (
	"errors"
	"fmt"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/cudabuild/cudabuild/gpu"
)

// Describe fills what the driver knows into h.
func (d *Driver) Describe(h *gpu.Host) error {
	driver, ret1 := d.lib.SystemGetDriverVersion()
	cuda, ret2 := d.lib.SystemGetCudaDriverVersion()
	version, ret3 := d.lib.SystemGetNVMLVersion()
	count, ret4 := d.lib.DeviceGetCount()
	err := errors.Join(check("driver version", ret1), check("CUDA version", ret2), check("NVML version", ret3), check("number of GPUs", ret4))
	if err != nil {
		return err
	}
	h.Driver, h.CUDA, h.NVML = driver, fmt.Sprintf("%d.%d", cuda/1000, cuda%1000/10), version
	h.Library, h.StandIn, h.GPUs = d.folder, d.standIn, []gpu.GPU{}
	handles := make([]nvml.Device, count)
	for i := range handles {
		var ret nvml.Return
		if handles[i], ret = d.lib.DeviceGetHandleByIndex(i); ret != nvml.SUCCESS {
			return check(fmt.Sprintf("GPU %d", i), ret)
		}
	}
	for i, handle := range handles {
		g, err := describe(i, handle)
		if err != nil {
			return fmt.Errorf("GPU %d: %w", i, err)
		}
		g.Links = links(i, handles)
		h.GPUs = append(h.GPUs, g)
	}
	return nil
}

func describe(index int, handle nvml.Device) (gpu.GPU, error) {
	minor, ret1 := handle.GetMinorNumber()
	uuid, ret2 := handle.GetUUID()
	pci, ret3 := handle.GetPciInfo()
	name, ret4 := handle.GetName()
	major, minorCC, ret5 := handle.GetCudaComputeCapability()
	memory, ret6 := handle.GetMemoryInfo()
	brand, ret7 := handle.GetBrand()
	err := errors.Join(check("minor number", ret1), check("UUID", ret2), check("PCI address", ret3), check("name", ret4),
		check("compute capability", ret5), check("memory", ret6), check("brand", ret7))
	mode, _, ret := handle.GetMigMode() // most GPUs do not know the question
	mig := ret == nvml.SUCCESS && mode == nvml.DEVICE_MIG_ENABLE
	return gpu.GPU{
		Index: index, Minor: minor, UUID: uuid, BusID: busID(pci), Name: name, Brand: brands[brand],
		Capability: fmt.Sprintf("%d.%d", major, minorCC), MemoryBytes: memory.Total,
		MIG: mig, MIGDevices: migDevices(handle, mig),
	}, err
}

// busID is the address as the kernel writes it, with four digits of domain.
func busID(pci nvml.PciInfo) string {
	var text strings.Builder
	for _, c := range pci.BusId {
		if c == 0 {
			break
		}
		text.WriteByte(byte(c))
	}
	domain, rest, ok := strings.Cut(strings.ToLower(text.String()), ":")
	if !ok {
		return ""
	}
	return domain[max(0, len(domain)-4):] + ":" + rest
}

func migDevices(handle nvml.Device, enabled bool) []gpu.MIGDevice {
	devices := []gpu.MIGDevice{}
	if !enabled {
		return devices
	}
	count, _ := handle.GetMaxMigDeviceCount()
	for i := range count {
		slice, ret := handle.GetMigDeviceHandleByIndex(i)
		if ret != nvml.SUCCESS {
			continue // there are fewer than there could be
		}
		if uuid, ret := slice.GetUUID(); ret == nvml.SUCCESS {
			devices = append(devices, gpu.MIGDevice{Index: i, UUID: uuid})
		}
	}
	return devices
}

// links says how GPU i reaches each of the others. What the driver does not say is
// left out.
func links(i int, handles []nvml.Device) []gpu.Link {
	out := []gpu.Link{}
	for j, other := range handles {
		if j == i {
			continue
		}
		if status, ret := handles[i].GetP2PStatus(other, nvml.P2P_CAPS_INDEX_NVLINK); ret == nvml.SUCCESS && status == nvml.P2P_STATUS_OK {
			out = append(out, gpu.Link{GPU: j, Kind: "nvlink"})
		} else if level, ret := handles[i].GetTopologyCommonAncestor(other); ret == nvml.SUCCESS {
			out = append(out, gpu.Link{GPU: j, Kind: topology[level]})
		}
	}
	return out
}

var topology = map[nvml.GpuTopologyLevel]string{
	nvml.TOPOLOGY_INTERNAL: "same-board", nvml.TOPOLOGY_SINGLE: "pcie-switch", nvml.TOPOLOGY_MULTIPLE: "pcie-switches",
	nvml.TOPOLOGY_HOSTBRIDGE: "host-bridge", nvml.TOPOLOGY_NODE: "numa-node", nvml.TOPOLOGY_SYSTEM: "system",
}

// brands are spelled as in NVIDIA_REQUIRE_*.
var brands = map[nvml.BrandType]string{
	nvml.BRAND_UNKNOWN: "unknown", nvml.BRAND_QUADRO: "quadro", nvml.BRAND_TESLA: "tesla", nvml.BRAND_NVS: "nvs", nvml.BRAND_GRID: "grid",
	nvml.BRAND_GEFORCE: "geforce", nvml.BRAND_TITAN: "titan", nvml.BRAND_NVIDIA_VAPPS: "vapps", nvml.BRAND_NVIDIA_VPC: "vpc",
	nvml.BRAND_NVIDIA_VCS: "vcs", nvml.BRAND_NVIDIA_VWS: "vws", nvml.BRAND_NVIDIA_CLOUD_GAMING: "cloudgaming",
	nvml.BRAND_QUADRO_RTX: "quadrortx", nvml.BRAND_NVIDIA_RTX: "nvidiartx", nvml.BRAND_NVIDIA: "nvidia",
	nvml.BRAND_GEFORCE_RTX: "geforcertx", nvml.BRAND_TITAN_RTX: "titanrtx",
}
