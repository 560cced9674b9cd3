// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// information is what the driver 580.159.04 says of one GPU.
func information(model, uuid, bus, minor string) string {
	return "Model: \t\t " + model + "\nIRQ:   \t\t 75\nGPU UUID: \t " + uuid + "\nVideo BIOS: \t ??.??.??.??.??\nBus Type: \t PCIe\nDMA Size: \t 52 bits\n" +
		"DMA Mask: \t 0xfffffffffffff\nBus Location: \t " + bus + "\nDevice Minor: \t " + minor + "\nGPU Firmware: \t 580.159.04\nGPU Excluded:\t No\n"
}

func TestDriver(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (dvs-builder@U22)  Tue Apr  7 09:31:11 UTC 2026\n" +
			"GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n",
		"proc/driver/nvidia/gpus/0000:06:00.0/information": information("NVIDIA H200", "GPU-b", "0000:06:00.0", "0"),
		"proc/driver/nvidia/gpus/0000:05:00.0/information": information("NVIDIA H100 80GB HBM3", "GPU-a", "0000:05:00.0", "3"),
		"proc/driver/nvidia/gpus/0000:07:00.0/information": information("NVIDIA H200", "GPU-c", "0000:07:00.0", "1"),
		"proc/driver/nvidia/gpus/0000:08:00.0/information": "Model: unknown\n",
		"dev/nvidia0": "",
		"dev/nvidia3": "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	version, gpus := driver(root)
	want := []GPU{
		{UUID: "GPU-a", Name: "NVIDIA H100 80GB HBM3", BusID: "0000:05:00.0", Minor: 3},
		{UUID: "GPU-b", Name: "NVIDIA H200", BusID: "0000:06:00.0", Minor: 0},
	}
	if diff := cmp.Diff(want, gpus); diff != "" || version != "580.159.04" {
		t.Errorf("driver %q, GPUs (-want +got):\n%s", version, diff)
	}
	if version, gpus := driver(t.TempDir()); version != "" || gpus == nil || len(gpus) != 0 {
		t.Errorf("without a driver: %q, %v", version, gpus)
	}
}

func TestVersionIn(t *testing.T) {
	t.Parallel()
	for says, want := range map[string]string{
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  384.183  Sun Nov 11 11:20:36 PST 2018":    "384.183",
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024": "535.183.01",
		"NVRM version: none\nGCC version:  gcc version 12.2.0":                                     "",
		"": "",
	} {
		if got := versionIn(says); got != want {
			t.Errorf("versionIn(%q) = %q, want %q", says, got, want)
		}
	}
}
