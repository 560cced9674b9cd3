// SPDX-License-Identifier: Apache-2.0

package container

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"tags.cncf.io/container-device-interface/pkg/cdi"
)

// cdiKind is the vendor and class of the devices in the CDI specifications that
// package nvidia makes.
const cdiKind = "nvidia.com/gpu"

// DefaultPath is the search path of programs whose image names none, docker's.
const DefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// writeConfig writes the OCI configuration of p into its bundle.
func (p Program) writeConfig(dir string, hooks marks) error {
	spec := base()
	spec.Process.Args, spec.Process.Env = p.Args, p.environment()
	spec.Linux.CgroupsPath = cgroup(dir)
	if err := p.Bounds.apply(spec); err != nil {
		return err
	}
	if p.Open != nil {
		if err := p.Open.apply(spec, p.Root, dir); err != nil {
			return err
		}
	}
	if p.shared {
		p.join(spec)
	}
	spec.Linux.Seccomp = seccomp.DefaultProfile(spec)
	if p.Engine == Direct && len(p.Devices) > 0 {
		hooks.add(spec, hooks.begin)
		if err := p.inject(dir, spec); err != nil {
			return err
		}
		hooks.add(spec, hooks.end)
	}
	shield(spec.Hooks)
	if p.bare != nil {
		spec.Hooks.CreateContainer = []specs.Hook{hook(p.bare...)}
	}
	return writeJSON(filepath.Join(dir, "config.json"), spec)
}

// base is what every container has.
func base() *specs.Spec {
	return &specs.Spec{
		Version: "1.2.0",
		Process: &specs.Process{
			Cwd:             "/",
			Capabilities:    &specs.LinuxCapabilities{},
			Rlimits:         []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}},
			NoNewPrivileges: true,
		},
		Root:     &specs.Root{Path: "rootfs", Readonly: true},
		Hostname: "cudabuild",
		Hooks:    &specs.Hooks{},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=1g"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777", "size=1g"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace},
				{Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace},
				{Type: specs.MountNamespace},
				{Type: specs.NetworkNamespace},
				{Type: specs.CgroupNamespace},
			},
			Resources: &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
				"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
}

// leave keeps the container in these namespaces of the runtime.
func leave(spec *specs.Spec, shared ...specs.LinuxNamespaceType) {
	spec.Linux.Namespaces = slices.DeleteFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return slices.Contains(shared, n.Type) })
}

// environment is the image's, without what would choose other GPUs than those asked
// for. The nvidia engine reads the choice from it, as it would with docker.
func (p Program) environment() []string {
	devices := strings.Join(p.Devices, ",")
	if devices == "" {
		devices = "void"
	}
	env := []string{"NVIDIA_VISIBLE_DEVICES=" + devices}
	for _, e := range p.Env {
		if !strings.HasPrefix(e, "NVIDIA_VISIBLE_DEVICES=") {
			env = append(env, e)
		}
	}
	return env
}

// inject applies the CDI specification to spec.
func (p Program) inject(dir string, spec *specs.Spec) error {
	folder := filepath.Join(dir, "cdi")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "nvidia.json"), p.CDI, 0o600); err != nil {
		return err
	}
	cache, err := cdi.NewCache(cdi.WithSpecDirs(folder), cdi.WithAutoRefresh(false))
	if err != nil {
		return err
	}
	var names []string
	for _, d := range p.Devices {
		names = append(names, cdiKind+"="+d)
	}
	if missing, err := cache.InjectDevices(spec, names...); err != nil {
		return fmt.Errorf("CDI devices %q: %w", missing, err)
	}
	return nil
}

// marks are two files whose times say when the hooks began and ended.
type marks struct{ touch, begin, end string }

func newMarks(dir string) marks {
	touch, _ := exec.LookPath("touch") // without it the time of hooks is not known
	return marks{touch: touch, begin: filepath.Join(dir, "hooks-begin"), end: filepath.Join(dir, "hooks-end")}
}

// add adds the hook that makes a mark, if it can be made.
func (m marks) add(spec *specs.Spec, mark string) {
	if m.touch != "" {
		spec.Hooks.CreateContainer = append(spec.Hooks.CreateContainer, hook(m.touch, mark))
	}
}

func hook(command ...string) specs.Hook { return specs.Hook{Path: command[0], Args: command} }

// shield gives every hook an environment. A runtime may give one that has none the
// container's, and with it the image's LD_PRELOAD to a program of the host.
func shield(h *specs.Hooks) {
	for _, hooks := range [][]specs.Hook{h.Prestart, h.CreateRuntime, h.CreateContainer, h.StartContainer, h.Poststart, h.Poststop} { //nolint:staticcheck // old toolkits use the first
		for i := range hooks {
			hooks[i].Env = append([]string{DefaultPath}, hooks[i].Env...)
		}
	}
}

func writeJSON(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}
