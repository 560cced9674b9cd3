// SPDX-License-Identifier: Apache-2.0

package place

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
)

// Labels of GPU feature discovery.
// Source: NVIDIA/k8s-device-plugin, docs/gpu-feature-discovery and internal/lm.
const (
	prefix     = "nvidia.com/"
	gpuPresent = prefix + "gpu.present"
	gpuCount   = prefix + "gpu.count"
	gpuProduct = prefix + "gpu.product"
	gpuMemory  = prefix + "gpu.memory" // MiB
	gpuFamily  = prefix + "gpu.family"
	gpuMajor   = prefix + "gpu.compute.major"
	gpuMinor   = prefix + "gpu.compute.minor"
	gpuShares  = prefix + "gpu.replicas" // pods to a GPU
	driverFull = prefix + "cuda.driver-version.full"
	cudaFull   = prefix + "cuda.runtime-version.full"
)

// Kubernetes' own labels of a node's system and processor.
const (
	osLabel   = "kubernetes.io/os"
	ArchLabel = "kubernetes.io/arch"
)

// Platform selects the nodes that run images of a platform, such as "linux/arm64/v8".
func Platform(platform string) []Expression {
	system, arch, _ := strings.Cut(platform, "/")
	arch, _, _ = strings.Cut(arch, "/")
	return []Expression{{osLabel, "In", []string{system}}, {ArchLabel, "In", []string{arch}}}
}

// versionKeys and releaseKeys are labels with the numbers of the driver's version and of the CUDA release
// that it offers: the names of today, and those that older releases have alone.
var (
	versionKeys = [2][3]string{
		{prefix + "cuda.driver-version.major", prefix + "cuda.driver-version.minor", prefix + "cuda.driver-version.revision"},
		{prefix + "cuda.driver.major", prefix + "cuda.driver.minor", prefix + "cuda.driver.rev"},
	}
	releaseKeys = [2][2]string{
		{prefix + "cuda.runtime-version.major", prefix + "cuda.runtime-version.minor"},
		{prefix + "cuda.runtime.major", prefix + "cuda.runtime.minor"},
	}
)

// Labels returns what GPU feature discovery would say of a host, nothing if it has no GPU; of
// GPUs of several kinds what it would say of the first. What follows from the discovery's own
// configuration (sharing, MIG's strategy) is not among it.
func Labels(h gpu.Host) map[string]string {
	labels := map[string]string{}
	if len(h.GPUs) == 0 {
		return labels
	}
	first := h.GPUs[0]
	major, minor, _ := strings.Cut(first.Capability, ".")
	for key, value := range map[string]string{
		gpuPresent: "true", gpuCount: strconv.Itoa(len(h.GPUs)), gpuProduct: strings.ReplaceAll(first.Name, " ", "-"),
		gpuMemory: strconv.FormatUint(first.MemoryBytes>>20, 10), gpuFamily: family(first), gpuMajor: major, gpuMinor: minor,
		driverFull: h.Driver, cudaFull: h.CUDA,
	} {
		labels[key] = value
	}
	driver, cuda := parts(h.Driver, 3), parts(h.CUDA, 2)
	for i := range versionKeys {
		for k, key := range versionKeys[i] {
			labels[key] = driver[k]
		}
		for k, key := range releaseKeys[i] {
			labels[key] = cuda[k]
		}
	}
	return labels
}

// parts are the n numbers of a version as they are, "" where there is none.
func parts(version string, n int) []string {
	return append(strings.SplitN(version, ".", n), make([]string, n)...)[:n]
}

// family is the generation, as the discovery spells it.
func family(g gpu.GPU) string {
	target, _ := compat.ParseTarget(g.Capability)
	if target.Name() == "Ada" {
		return "ada-lovelace"
	}
	return cmp.Or(strings.ToLower(target.Name()), "undefined")
}

// Host returns what a node's labels tell of it: its driver, the CUDA release that this offers, and so
// many GPUs of one product. GPUs is empty where there is none; no other field is known.
func Host(labels map[string]string) gpu.Host {
	h := gpu.Host{GPUs: []gpu.GPU{}, Problems: []string{}}
	h.Driver, h.CUDA = labels[driverFull], labels[cudaFull]
	for i := range versionKeys {
		h.Driver = cmp.Or(h.Driver, joined(labels, versionKeys[i][:]))
		h.CUDA = cmp.Or(h.CUDA, joined(labels, releaseKeys[i][:]))
	}
	count, _ := strconv.Atoi(labels[gpuCount])
	memory, _ := strconv.ParseUint(labels[gpuMemory], 10, 44)
	g := gpu.GPU{
		Name: name(labels[gpuProduct]), Capability: joined(labels, []string{gpuMajor, gpuMinor}),
		MemoryBytes: memory << 20, MIGDevices: []gpu.MIGDevice{}, Links: []gpu.Link{},
	}
	if board, known := compat.BoardNamed(g.Name); known {
		g.Brand = board.Brand
	}
	for g.Index = range min(count, mostGPUs) {
		h.GPUs = append(h.GPUs, g)
	}
	return h
}

// mostGPUs bounds what anybody may write on a node.
const mostGPUs = 64

// joined is a version of the numbers of labels, up to the first that is empty.
func joined(labels map[string]string, keys []string) string {
	var numbers []string
	for _, key := range keys {
		if labels[key] == "" {
			break
		}
		numbers = append(numbers, labels[key])
	}
	return strings.Join(numbers, ".")
}

// name is a product's name without what the discovery adds to it. Of the dashes nobody knows
// which were blanks, but for that behind the maker's name.
func name(product string) string {
	product = strings.TrimSuffix(product, sharedSuffix)
	product, _, _ = strings.Cut(product, "-MIG-")
	for _, maker := range []string{"NVIDIA", "GRID"} {
		if rest, ok := strings.CutPrefix(product, maker+"-"); ok {
			return maker + " " + rest
		}
	}
	return product
}

// Shared reports whether several pods have a GPU of the node at the same time.
func Shared(labels map[string]string) bool {
	pods, _ := strconv.Atoi(labels[gpuShares])
	return pods > 1 || strings.HasSuffix(labels[gpuProduct], sharedSuffix)
}

// sharedSuffix is behind the product of GPUs that several pods share.
const sharedSuffix = "-SHARED"
