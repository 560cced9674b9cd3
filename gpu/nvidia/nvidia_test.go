// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package nvidia_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	nvmlmock "github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/nvidia"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/internal/standin"
)

const version = "580.159.04"

// mock is the stand-in with minor numbers that are not the indexes.
func mock(t *testing.T, count int) *server.Server {
	t.Helper()
	lib := standin.NVML(t, version, count)
	for i, handle := range lib.Devices {
		handle.(*server.Device).Minor = count - 1 - i
	}
	return lib
}

func standIn(t *testing.T, count int) *nvidia.Driver {
	t.Helper()
	if os.Geteuid() != 0 {
		require.Missing(t, "root", errors.New("device nodes need root"))
	}
	d, err := nvidia.StandIn(mock(t, count), standin.DriverRoot(t, version, count))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDescribe(t *testing.T) {
	var host gpu.Host
	if err := standIn(t, 2).Describe(&host); err != nil {
		t.Fatal(err)
	}
	if host.Driver != version || host.CUDA != "13.0" || !host.StandIn || len(host.GPUs) != 2 {
		t.Fatalf("host %+v", host)
	}
	second := host.GPUs[1]
	if second.Index != 1 || second.Minor != 0 || second.BusID != "0000:01:00.0" || second.Brand != "nvidia" || second.Capability != "9.0" ||
		second.MIG || second.MemoryBytes != 80<<30 || !strings.HasPrefix(second.UUID, "GPU-") {
		t.Errorf("second GPU %+v", second)
	}
	if len(second.Links) != 1 || second.Links[0] != (gpu.Link{GPU: 0, Kind: "nvlink"}) {
		t.Errorf("links %+v", second.Links)
	}
}

// TestSpec: a specification has the GPU that was asked for and no other.
func TestSpec(t *testing.T) {
	d := standIn(t, 2)
	var host gpu.Host
	if err := d.Describe(&host); err != nil {
		t.Fatal(err)
	}
	data, err := d.Spec([]string{host.GPUs[1].UUID}, "/opt/nvidia-cdi-hook")
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Kind    string
		Devices []struct {
			Name           string
			ContainerEdits struct{ DeviceNodes []struct{ Path string } }
		}
		ContainerEdits struct {
			Mounts []struct{ ContainerPath string }
			Hooks  []struct{ Path string }
		}
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	if len(spec.Devices) != 1 || spec.Devices[0].Name != host.GPUs[1].UUID || spec.Kind != "nvidia.com/gpu" {
		t.Errorf("devices of %s: %+v, want the second GPU by its UUID", spec.Kind, spec.Devices)
	}
	if text := string(data); strings.Contains(text, `"/dev/nvidia1"`) || !strings.Contains(text, `"/dev/nvidia0"`) {
		t.Errorf("want the node with the second GPU's minor number, 0, and not 1:\n%s", text)
	}
	if len(spec.ContainerEdits.Hooks) == 0 || spec.ContainerEdits.Hooks[0].Path != "/opt/nvidia-cdi-hook" {
		t.Errorf("hooks %+v", spec.ContainerEdits.Hooks)
	}
	libcuda := false
	for _, m := range spec.ContainerEdits.Mounts {
		libcuda = libcuda || m.ContainerPath == "/usr/lib/x86_64-linux-gnu/libcuda.so."+version
	}
	if !libcuda {
		t.Errorf("mounts %+v, want libcuda", spec.ContainerEdits.Mounts)
	}
}

// divide gives a GPU of the mock one slice and returns its UUID.
func divide(t *testing.T, lib *server.Server, parent *server.Device) string {
	t.Helper()
	const uuid = "MIG-aaaa1111-0000-5000-8000-000000000001"
	info, ret1 := parent.GetGpuInstanceProfileInfo(nvml.GPU_INSTANCE_PROFILE_1_SLICE)
	instance, ret2 := parent.CreateGpuInstance(&info)
	of, ret3 := instance.GetInfo()
	if ret := max(ret1, ret2, ret3); ret != nvml.SUCCESS {
		t.Fatal(ret)
	}
	slice := &nvmlmock.Device{
		IsMigDeviceHandleFunc:                  func() (bool, nvml.Return) { return true, nvml.SUCCESS },
		GetUUIDFunc:                            func() (string, nvml.Return) { return uuid, nvml.SUCCESS },
		GetIndexFunc:                           func() (int, nvml.Return) { return 0, nvml.SUCCESS },
		GetGpuInstanceIdFunc:                   func() (int, nvml.Return) { return int(of.Id), nvml.SUCCESS },
		GetComputeInstanceIdFunc:               func() (int, nvml.Return) { return 0, nvml.SUCCESS },
		GetDeviceHandleFromMigDeviceHandleFunc: func() (nvml.Device, nvml.Return) { return parent, nvml.SUCCESS },
		GetAttributesFunc: func() (nvml.DeviceAttributes, nvml.Return) {
			return nvml.DeviceAttributes{GpuInstanceSliceCount: 1, ComputeInstanceSliceCount: 1, MemorySizeMB: 10 << 10}, nvml.SUCCESS
		},
	}
	computes, ret1 := instance.GetComputeInstanceProfileInfo(nvml.COMPUTE_INSTANCE_PROFILE_1_SLICE, nvml.COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED)
	compute, ret2 := instance.CreateComputeInstance(&computes)
	if ret := max(ret1, ret2); ret != nvml.SUCCESS {
		t.Fatal(ret)
	}
	instance.(*server.GpuInstance).GetComputeInstanceByIdFunc = func(int) (nvml.ComputeInstance, nvml.Return) { return compute, nvml.SUCCESS }
	parent.GetGpuInstanceByIdFunc = func(int) (nvml.GpuInstance, nvml.Return) { return instance, nvml.SUCCESS }
	parent.MigMode = nvml.DEVICE_MIG_ENABLE
	parent.GetMaxMigDeviceCountFunc = func() (int, nvml.Return) { return 7, nvml.SUCCESS }
	parent.GetMigDeviceHandleByIndexFunc = func(i int) (nvml.Device, nvml.Return) {
		if i > 0 {
			return nil, nvml.ERROR_NOT_FOUND
		}
		return slice, nvml.SUCCESS
	}
	whole := lib.DeviceGetHandleByUUIDFunc
	lib.DeviceGetHandleByUUIDFunc = func(id string) (nvml.Device, nvml.Return) {
		if id == uuid {
			return slice, nvml.SUCCESS
		}
		return whole(id)
	}
	return uuid
}

// TestSpecOfSlice: a slice of the mock is found and chosen by each of its names. Its
// nodes come from the kernel alone: without them the error says where they would stand.
func TestSpecOfSlice(t *testing.T) {
	if os.Geteuid() != 0 {
		require.Missing(t, "root", errors.New("device nodes need root"))
	}
	lib := mock(t, 2)
	uuid := divide(t, lib, lib.Devices[1].(*server.Device))
	d, err := nvidia.StandIn(lib, standin.DriverRoot(t, version, 2))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var host gpu.Host
	if err := d.Describe(&host); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1:0", uuid, strings.ToLower(uuid)} {
		chosen, err := gpu.Select(host.GPUs, name)
		if err != nil || strings.Join(gpu.UUIDs(chosen), " ") != uuid {
			t.Fatalf("%s: %v, %v", name, gpu.UUIDs(chosen), err)
		}
		data, err := d.Spec(gpu.UUIDs(chosen), "/opt/nvidia-cdi-hook")
		_, none := os.Stat("/proc/driver/nvidia-caps/mig-minors")
		switch text := string(data); {
		case none == nil && err == nil && !strings.Contains(text, `"name":"`+uuid+`"`):
			t.Errorf("%s: want the slice by its UUID:\n%s", name, text)
		case none != nil && (err == nil || !strings.Contains(err.Error(), uuid) || !strings.Contains(err.Error(), "mig-minors")):
			t.Errorf("%s: %v, want where its nodes would stand:\n%s", name, err, text)
		}
	}
}

// TestNoDriver: the library's errors come out as words.
func TestNoDriver(t *testing.T) {
	for ret, want := range map[nvml.Return]string{
		nvml.ERROR_DRIVER_NOT_LOADED:       "kernel module is not loaded",
		nvml.ERROR_LIB_RM_VERSION_MISMATCH: "different versions",
		nvml.ERROR_LIBRARY_NOT_FOUND:       "nowhere to be found",
	} {
		lib := mock(t, 1)
		lib.InitFunc = func() nvml.Return { return ret }
		if _, err := nvidia.StandIn(lib, "/"); !errors.Is(err, gpu.ErrNoDriver) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want ErrNoDriver and %q", ret, err, want)
		}
	}
}
