// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"cmp"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Variables that the runtime hook reads.
const (
	requireCUDA    = "NVIDIA_REQUIRE_CUDA"
	requirePrefix  = "NVIDIA_REQUIRE_"
	requireJetPack = "NVIDIA_REQUIRE_JETPACK" // and what begins like it: a switch of Tegra, no requirement
	cudaVersion    = "CUDA_VERSION"
	visibleDevices = "NVIDIA_VISIBLE_DEVICES"
)

// maxRequirements is how many nvidia-container-cli takes.
const maxRequirements = 32

// Requirements returns what an image's environment ("NAME=value" strings) asks of its
// host, sorted by name: each NVIDIA_REQUIRE_* variable that is not empty, and for a
// legacy image (see [Legacy]) the release of CUDA_VERSION. It returns none if
// NVIDIA_DISABLE_REQUIRE is true, and leaves NVIDIA_REQUIRE_JETPACK out. What the
// legacy hook refuses at once is a requirement that never holds.
//
// The error joins what is malformed. All requirements are returned with it.
//
// Source: nvidia-container-toolkit 1.20.1, internal/config/image.
func Requirements(env []string) (requirements []Requirement, err error) {
	values := valuesOf(env)
	if off, err := strconv.ParseBool(values["NVIDIA_DISABLE_REQUIRE"]); err == nil && off {
		return nil, nil
	}
	var problems []error
	add := func(r Requirement, err error) {
		if err != nil {
			problems = append(problems, err)
		}
		if len(r.any) > 0 {
			requirements = append(requirements, r)
		}
	}
	if Legacy(env) {
		add(legacyRequirement(values[cudaVersion]))
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if strings.HasPrefix(name, requirePrefix) && !strings.HasPrefix(name, requireJetPack) {
			add(ParseRequirement(name, values[name]))
		}
	}
	if n := len(requirements); n > maxRequirements {
		requirements = requirements[:maxRequirements]
		add(refused(requirePrefix+"*", "%d requirements are more than the %d that the hook takes", n, maxRequirements))
	}
	return requirements, errors.Join(problems...)
}

// Legacy reports whether an image is one of the time before NVIDIA_REQUIRE_CUDA: it has
// CUDA_VERSION and no NVIDIA_REQUIRE_CUDA, neither of them empty. The hook then takes
// the release as a requirement and gives all GPUs if no variable says which.
func Legacy(env []string) bool {
	values := valuesOf(env)
	return values[cudaVersion] != "" && values[requireCUDA] == ""
}

// semver is a semantic version of one to three numbers, with a v or without; only one of
// three may have a pre-release or a build.
var semver = regexp.MustCompile(`^v?(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)(?:-` + preRelease + `(?:\.` + preRelease + `)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)?)?$`)

const preRelease = `(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)`

// legacyRequirement is what CUDA_VERSION asks for: its first two numbers.
func legacyRequirement(version string) (Requirement, error) {
	m := semver.FindStringSubmatch(version)
	if m == nil {
		return refused(cudaVersion, "%q is no version such as 12.4.1 (the hook wants one where there is no %s)", version, requireCUDA)
	}
	release := m[1] + "." + cmp.Or(m[2], "0")
	for number := range strings.SplitSeq(release, ".") {
		if _, err := strconv.ParseUint(number, 10, 32); err != nil {
			return refused(cudaVersion, "%q is no version: %s is too large", version, number)
		}
	}
	return ParseRequirement(cudaVersion, "cuda>="+release)
}

// refused is a requirement for which the hook refuses the container on every host.
func refused(name, format string, args ...any) (Requirement, error) {
	r := Requirement{Name: name, any: [][]term{{refusal(format, args...)}}}
	return r, r.malformed()
}

// VisibleDevices returns what the runtime hook makes of an environment: nil if it does
// nothing at all, an empty list if it gives the driver without a GPU, ["all"], or the
// names of devices in order, each once, where it came last: indexes ("0"), UUIDs ("GPU-...", "MIG-..."), MIG
// devices by place ("0:1").
//
// NVIDIA_VISIBLE_DEVICES is empty or has "void" in it: nothing. It is not set: nothing,
// but all for a legacy image (see [Legacy]). Else the first of "all" and "none" in it
// decides, whatever else it names.
//
// Source: nvidia-container-toolkit 1.20.1, internal/config/image.
func VisibleDevices(env []string) []string {
	value, set := valuesOf(env)[visibleDevices]
	if !set && Legacy(env) {
		value = "all"
	}
	var devices []string
	seen := map[string]bool{}
	for _, name := range slices.Backward(strings.Split(value, ",")) {
		if name = strings.TrimSpace(name); name != "" && !seen[name] {
			seen[name] = true
			devices = append(devices, name)
		}
	}
	slices.Reverse(devices)
	special := slices.IndexFunc(devices, func(name string) bool { return name == "all" || name == "none" })
	switch {
	case slices.Contains(devices, "void"):
		return nil
	case special >= 0 && devices[special] == "none":
		return []string{}
	case special >= 0:
		return []string{"all"}
	}
	return devices
}

// valuesOf is the environment by name; of a name that is there twice the last counts.
func valuesOf(env []string) map[string]string {
	values := map[string]string{}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return values
}
