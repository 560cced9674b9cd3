// SPDX-License-Identifier: Apache-2.0

package container

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/pkg/oci"
	"tags.cncf.io/container-device-interface/pkg/cdi"
)

// base is what every container has. It is OCI's own format, so that it can be read
// beside the runtime specification.
//
//go:embed config.json
var base []byte

// cdiKind is the vendor and class of the devices in the CDI specifications that
// package nvidia makes.
const cdiKind = "nvidia.com/gpu"

// DefaultPath is the search path of programs whose image names none, docker's.
const DefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// writeConfig writes the OCI configuration of p into its bundle.
func (p Program) writeConfig(dir string, hooks marks) error {
	spec := new(oci.Spec)
	if err := json.Unmarshal(base, spec); err != nil {
		return err
	}
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
		if err := p.join(spec); err != nil {
			return err
		}
	}
	spec.Linux.Seccomp = seccomp.DefaultProfile(spec)
	if p.Engine == Direct && len(p.Devices) > 0 {
		if err := hooks.around(spec, func() error { return p.inject(dir, spec) }); err != nil {
			return err
		}
	}
	shield(spec)
	if p.bare != nil {
		bare, err := hook(p.bare...)
		if err != nil {
			return err
		}
		spec.Hooks = bare.Hooks
	}
	return writeJSON(filepath.Join(dir, "config.json"), spec)
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
func (p Program) inject(dir string, spec *oci.Spec) error {
	specs := filepath.Join(dir, "cdi")
	if err := os.Mkdir(specs, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(specs, "nvidia.json"), p.CDI, 0o600); err != nil {
		return err
	}
	cache, err := cdi.NewCache(cdi.WithSpecDirs(specs), cdi.WithAutoRefresh(false))
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

// around puts a mark before and after the hooks that edit adds.
func (m marks) around(spec *oci.Spec, edit func() error) error {
	if m.touch == "" {
		return edit()
	}
	return errorsOf(m.add(spec, m.begin), edit, m.add(spec, m.end))
}

// add returns the step that adds a hook.
func (m marks) add(spec *oci.Spec, file string) func() error {
	return func() error {
		more, err := hook(m.touch, file)
		if err != nil {
			return err
		}
		if spec.Hooks == nil {
			spec.Hooks = more.Hooks
			return nil
		}
		spec.Hooks.CreateContainer = append(spec.Hooks.CreateContainer, more.Hooks.CreateContainer...)
		return nil
	}
}

// hook returns a specification with nothing but that hook.
func hook(command ...string) (*oci.Spec, error) {
	return parts(map[string]any{"hooks": map[string]any{"createContainer": []any{
		map[string]any{"path": command[0], "args": command},
	}}})
}

// shield gives every hook an environment. A runtime may give one that has none the
// container's, and with it the image's LD_PRELOAD to a program of the host.
func shield(spec *oci.Spec) {
	h := spec.Hooks
	if h == nil {
		return
	}
	for _, hooks := range listOf(h.Prestart, h.CreateRuntime, h.CreateContainer, h.StartContainer, h.Poststart, h.Poststop) { //nolint:staticcheck // old toolkits use the first
		for i := range hooks {
			hooks[i].Env = append([]string{DefaultPath}, hooks[i].Env...)
		}
	}
}

// listOf is a list whose type need not be named.
func listOf[T any](all ...T) []T { return all }

// parts makes parts of a specification from their JSON, because the module that has
// their types is not one that we require.
func parts(value any) (*oci.Spec, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	spec := new(oci.Spec)
	return spec, json.Unmarshal(data, spec)
}

// errorsOf runs steps up to the first that has an error.
func errorsOf(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func writeJSON(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}
