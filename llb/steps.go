// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"maps"
	"slices"

	bkllb "github.com/moby/buildkit/client/llb"

	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
)

// seal ends every step that makes a layer: what the step touched gets the time of its
// inputs, so that the same inputs give the same layer (docs/reproducibility.md).
// What is left out is mounted by the daemon.
const seal = `find / -xdev -newermt "@$EPOCH" ! -path /etc/resolv.conf ! -path /etc/hosts ! -path /dev ! -path /proc ! -path /sys \
  -exec touch --no-dereference --date="@$EPOCH" {} +
`

// scriptPath is where a step sees its own script.
const scriptPath = "/run/cudabuild/step"

// AptConfigSecret is the ID of an optional secret with the host's apt settings
// (proxy, CA) that a solve may offer; no image keeps it.
const AptConfigSecret = "cudabuild-apt.conf"

// run returns what a step makes of what those before it have made: a file system, or
// what it left in its output mount.
func (f *family) run(step plan.Step, states map[string]bkllb.State) bkllb.State {
	script := step.Installer + step.Script
	opts := runOptions{f.title(step)}
	if step.File != "" {
		opts = append(opts, from(step))
	}
	if step.History != "" {
		script += seal
		opts = append(opts, bkllb.AddEnv("EPOCH", f.date()))
	}
	if step.Installer != "" {
		opts = append(opts, bkllb.AddSecret("/run/cudabuild/apt.conf", bkllb.SecretID(AptConfigSecret), bkllb.SecretOptional))
	}
	if f.proxy != nil {
		opts = append(opts, bkllb.WithProxy(*f.proxy))
	}
	for _, name := range slices.Sorted(maps.Keys(step.Env)) {
		opts = append(opts, bkllb.AddEnv(name, step.Env[name]))
	}
	output := ""
	for _, m := range step.Mounts {
		if m.Kind == plan.OutputMount {
			output = m.Path
			continue
		}
		opts = append(opts, f.mount(m, states))
	}
	exec := states[step.Below].Run(f.script(script), opts)
	if output != "" {
		return exec.AddMount(output, bkllb.Scratch())
	}
	return exec.Root()
}

func (f *family) mount(m plan.Mount, states map[string]bkllb.State) bkllb.RunOption {
	switch m.Kind {
	case recipes.ListsMount:
		return bkllb.AddMount(m.Path, f.lists, bkllb.Readonly)
	case recipes.CacheMount:
		return bkllb.AddMount(m.Path, bkllb.Scratch(), bkllb.AsPersistentCacheDir(m.Cache, bkllb.CacheMountLocked))
	case plan.SourceMount:
		return bkllb.AddMount(m.Path, f.files.state(file{"samples", m.Name, "/" + m.Name, m.Text, f.epoch}), bkllb.Readonly)
	case plan.ResultMount:
		return bkllb.AddMount(m.Path, states[m.Name], bkllb.Readonly)
	default:
		return bkllb.AddMount(m.Path, bkllb.Scratch(), bkllb.Tmpfs())
	}
}

// script runs text with sh -eu, from a file of its own so that errors stay short.
func (f *family) script(text string) bkllb.RunOption {
	return f.files.script(file{f.OS.Name, "script", "/step", text, f.epoch})
}

func (f *files) script(k file, arguments ...string) bkllb.RunOption {
	return runOptions{
		bkllb.Args(append([]string{"/bin/sh", "-eu", scriptPath}, arguments...)),
		bkllb.AddMount("/run", bkllb.Scratch(), bkllb.Tmpfs()), // where the mount points below are not kept
		bkllb.AddMount(scriptPath, f.state(k), bkllb.SourcePath(k.path), bkllb.Readonly),
	}
}

// runOptions are several options as one.
type runOptions []bkllb.RunOption

// SetRunOption applies the options in their order.
func (o runOptions) SetRunOption(info *bkllb.ExecInfo) {
	for _, opt := range o {
		opt.SetRunOption(info)
	}
}
