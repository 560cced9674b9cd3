// SPDX-License-Identifier: Apache-2.0

package place

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// CEL returns an expression for the selector of a device request, one line for each region. It
// holds for GPUs, as NVIDIA's DRA driver publishes them, that are in one of the regions; of no region it is "false".
func CEL(regions []compat.Region) string {
	var lines []string
	for _, g := range regions {
		lines = append(lines, "  "+strings.Join(conditions(g), " && "))
	}
	if lines == nil {
		return "false"
	}
	return "cel.bind(gpu, device.attributes[\"gpu.nvidia.com\"],\n" + strings.Join(lines, " ||\n") + ")"
}

func conditions(r compat.Region) []string {
	var gpus []string
	for _, gpu := range r.GPUs {
		gpus = append(gpus, fmt.Sprintf("semver(\"%d.%d.0\")", gpu.SM/10, gpu.SM%10))
	}
	all := []string{"gpu.cudaComputeCapability in [" + strings.Join(gpus, ", ") + "]"}
	for _, bound := range []struct{ version, holds string }{{r.From, ">= 0"}, {r.Below, "< 0"}} {
		if bound.version != "" {
			n := numbers(bound.version) // semver takes three numbers and no zero before one
			all = append(all, fmt.Sprintf("gpu.driverVersion.compareTo(semver(\"%d.%d.%d\")) %s", n[0], n[1], n[2], bound.holds))
		}
	}
	if r.Brands == nil {
		return all
	}
	var in, out []string
	for _, brand := range compat.Brands() {
		if slices.Contains(r.Brands, brand) {
			in = append(in, fmt.Sprintf("%q", brandNames[brand]))
		} else {
			out = append(out, fmt.Sprintf("%q", brandNames[brand]))
		}
	}
	if len(out) < len(in) {
		return append(all, "!(gpu.brand in ["+strings.Join(out, ", ")+"])")
	}
	return append(all, "gpu.brand in ["+strings.Join(in, ", ")+"]")
}

// brandNames are the words of NVIDIA's DRA driver for brands.
// Source: github.com/NVIDIA/go-nvlib, pkg/nvlib/device.
var brandNames = map[string]string{
	"cloudgaming": "NvidiaCloudGaming", "geforce": "GeForce", "geforcertx": "GeForceRTX", "grid": "Grid", "nvidia": "Nvidia",
	"nvidiartx": "NvidiaRTX", "nvs": "NVS", "quadro": "Quadro", "quadrortx": "QuadroRTX", "tesla": "Tesla", "titan": "Titan",
	"titanrtx": "TitanRTX", "unknown": "Unknown", "vapps": "NvidiaVApps", "vcs": "NvidiaVCS", "vpc": "NvidiaVPC", "vws": "NvidiaVWS",
}
