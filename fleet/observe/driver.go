// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// driver reads what the driver's kernel module says of itself and of the GPUs. A container sees
// all of the machine there, so those count that it has a device node of.
func driver(root string) (version string, gpus []GPU) {
	dir := filepath.Join(root, "proc/driver/nvidia")
	says, _ := os.ReadFile(filepath.Join(dir, "version"))
	version = versionIn(string(says))
	gpus = []GPU{}
	files, _ := filepath.Glob(filepath.Join(dir, "gpus/*/information"))
	for _, file := range files {
		says, _ := os.ReadFile(file)
		g, ok := gpuIn(string(says))
		if _, err := os.Stat(filepath.Join(root, fmt.Sprintf("dev/nvidia%d", g.Minor))); ok && err == nil {
			gpus = append(gpus, g)
		}
	}
	slices.SortFunc(gpus, func(a, b GPU) int { return cmp.Compare(a.BusID, b.BusID) })
	return version, gpus
}

// versionIn is the version in the first line, "NVRM version: NVIDIA UNIX Open Kernel Module for
// x86_64  580.159.04  Release Build ...": the first word of digits with dots in between.
func versionIn(says string) string {
	line, _, _ := strings.Cut(says, "\n")
	for word := range strings.FieldsSeq(line) {
		if strings.Contains(word, ".") && strings.Trim(word, "0123456789.") == "" {
			return word
		}
	}
	return ""
}

// gpuIn reads the lines "Name: \t value" about one GPU. It is none without a minor number.
func gpuIn(says string) (g GPU, ok bool) {
	for line := range strings.Lines(says) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Model":
			g.Name = value
		case "GPU UUID":
			g.UUID = value
		case "Bus Location":
			g.BusID = value
		case "Device Minor":
			minor, err := strconv.Atoi(value)
			g.Minor, ok = minor, err == nil
		}
	}
	return g, ok
}
