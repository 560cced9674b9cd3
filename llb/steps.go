// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"maps"
	"path"
	"slices"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"

	"github.com/cudabuild/cudabuild/recipes"
)

// seal ends every step: what the step touched gets the time of its inputs, so that
// the same inputs give the same layer (docs/reproducibility.md).
// What is left out is mounted by the daemon.
const seal = `find / -xdev -newermt "@$EPOCH" ! -path /etc/resolv.conf ! -path /etc/hosts ! -path /dev ! -path /proc ! -path /sys \
  -exec touch --no-dereference --date="@$EPOCH" {} +
`

// scriptPath is where a step sees its own script.
const scriptPath = "/run/cudabuild/step"

// AptConfigSecret is the ID of an optional secret with the host's apt settings
// (proxy, CA) that a solve may offer; no image keeps it.
const AptConfigSecret = "cudabuild-apt.conf"

// install is the step that makes a flavor out of the one below it.
func (f *family) install(state bkllb.State, flavor recipes.Flavor) bkllb.State {
	opts := []bkllb.RunOption{
		f.title("install %s: %s", flavor, f.steps[flavor]["PACKAGES"]),
		f.from(string(flavor)),
		bkllb.AddEnv("EPOCH", f.date()),
		bkllb.AddSecret("/run/cudabuild/apt.conf", bkllb.SecretID(AptConfigSecret), bkllb.SecretOptional),
	}
	for _, name := range slices.Sorted(maps.Keys(f.steps[flavor])) {
		opts = append(opts, bkllb.AddEnv(name, f.steps[flavor][name]))
	}
	for _, mount := range f.manager.Mounts {
		opts = append(opts, f.mount(mount))
	}
	return state.Run(f.script(f.manager.Install+f.release.Layers[flavor].Place()+seal), runOptions(opts)).Root()
}

func (f *family) mount(m recipes.Mount) bkllb.RunOption {
	switch m.Kind {
	case recipes.IndexMount:
		return bkllb.AddMount(m.Path, f.lists, bkllb.Readonly)
	case recipes.CacheMount:
		id := path.Join("cudabuild", f.os.Name, platforms.Format(f.platform), m.Path)
		return bkllb.AddMount(m.Path, bkllb.Scratch(), bkllb.AsPersistentCacheDir(id, bkllb.CacheMountLocked))
	default:
		return bkllb.AddMount(m.Path, bkllb.Scratch(), bkllb.Tmpfs())
	}
}

// compile is the program of the member's sample, made in devel.
func (m *member) compile() bkllb.State {
	source := m.files.state(file{"samples", m.sample.File, "/" + m.sample.File, m.sample.Source, m.epoch})
	step := withEnv(m.flavors[recipes.Devel], m.release.LayerEnv(recipes.Devel)).Run(
		m.script(m.nvcc()+"\n"),
		m.title("compile %s", m.sample.File),
		m.from("samples"),
		bkllb.AddMount("/run/cudabuild/src", source, bkllb.Readonly),
		bkllb.AddMount("/tmp", bkllb.Scratch(), bkllb.Tmpfs()),
	)
	return step.AddMount("/run/cudabuild/out", bkllb.Scratch())
}

// place puts the program of the member's sample on the lowest flavor.
func (m *member) place(program bkllb.State) bkllb.State {
	return m.flavors[m.release.Lowest()].Run(
		m.script("cp /run/cudabuild/out/"+m.sample.Name+" /usr/local/bin/\n"+seal),
		m.title("place %s", m.sample.Name),
		bkllb.AddEnv("EPOCH", m.date()),
		bkllb.AddMount("/run/cudabuild/out", program, bkllb.Readonly),
	).Root()
}

// withEnv is the environment that a user of the image finds.
func withEnv(state bkllb.State, env map[string]string) bkllb.State {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		state = state.AddEnv(name, env[name])
	}
	return state
}

// nvcc is the command that compiles the sample.
func (m *member) nvcc() string {
	return m.release.Nvcc("/run/cudabuild/src/"+m.sample.File, "/run/cudabuild/out/"+m.sample.Name)
}

// script runs text with sh -eu, from a file of its own so that errors stay short.
func (f *family) script(text string) bkllb.RunOption {
	step := f.files.state(file{f.os.Name, "script", "/step", text, f.epoch})
	return runOptions{
		bkllb.Args([]string{"/bin/sh", "-eu", scriptPath}),
		bkllb.AddMount("/run", bkllb.Scratch(), bkllb.Tmpfs()), // where the mount points below are not kept
		bkllb.AddMount(scriptPath, step, bkllb.SourcePath("/step"), bkllb.Readonly),
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
