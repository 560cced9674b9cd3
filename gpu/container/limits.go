// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Bounds are what a container may take of the host. Zero is the default.
type Bounds struct {
	Memory int64 // bytes; by default there is no bound
	// Pids is how many processes and threads there may be at one time, -1 for any number.
	// By default it is a share of what the host can have (docs/run.md).
	Pids int64
	// Ulimits are bounds on each process.
	Ulimits []Ulimit
}

// Ulimit is a bound of setrlimit(2), -1 for none.
type Ulimit struct {
	Name       string // "memlock"
	Soft, Hard int64
}

// Ulimits are the names of all bounds.
var Ulimits = []string{"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"}

// apply bounds spec. What is asked for and cannot be bounded on this host is an error.
func (b Bounds) apply(spec *specs.Spec) error {
	for name, asked := range map[string]int64{"pids": b.Pids, "memory": b.Memory} {
		if asked > 0 && !controls(name) {
			return fmt.Errorf("%s has no controller %q: this host cannot bound it", cgroups, name)
		}
	}
	if b.Pids == 0 && controls("pids") {
		b.Pids = defaultPids("/proc/sys/kernel")
	}
	if b.Pids > 0 {
		spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: &b.Pids}
	}
	for _, l := range b.Ulimits {
		kind := "RLIMIT_" + strings.ToUpper(l.Name)
		spec.Process.Rlimits = slices.DeleteFunc(spec.Process.Rlimits, func(r specs.POSIXRlimit) bool { return r.Type == kind })
		spec.Process.Rlimits = append(spec.Process.Rlimits, specs.POSIXRlimit{Type: kind, Soft: uint64(l.Soft), Hard: uint64(l.Hard)}) // -1 is RLIM_INFINITY
	}
	if b.Memory > 0 {
		spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &b.Memory}
	}
	return nil
}

const cgroups = "/sys/fs/cgroup"

// controls reports whether the host has a controller, in either version of cgroups.
func controls(name string) bool {
	if all, err := os.ReadFile(filepath.Join(cgroups, "cgroup.controllers")); err == nil {
		return slices.Contains(strings.Fields(string(all)), name)
	}
	_, err := os.Stat(filepath.Join(cgroups, name, "cgroup.procs"))
	return err == nil
}

// defaultPids is 15 percent of the processes that the kernel can have, as systemd gives
// to a service: enough for any program, and the rest of the host goes on.
func defaultPids(dir string) int64 {
	most := int64(32768)
	for i, name := range []string{"pid_max", "threads-max"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		n, parseErr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && parseErr == nil && (i == 0 || n < most) {
			most = n
		}
	}
	return max(1, most*15/100)
}
