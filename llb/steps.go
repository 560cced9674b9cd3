// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"maps"
	"path"
	"slices"
	"time"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"

	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/samples"
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
func (c *compiler) install(state bkllb.State, flavor recipes.Flavor) bkllb.State {
	opts := []bkllb.RunOption{
		c.title("install %s: %s", flavor, c.steps[flavor]["PACKAGES"]),
		c.from(string(flavor)),
		bkllb.AddEnv("EPOCH", c.epoch()),
		bkllb.AddSecret("/run/cudabuild/apt.conf", bkllb.SecretID(AptConfigSecret), bkllb.SecretOptional),
	}
	for _, name := range slices.Sorted(maps.Keys(c.steps[flavor])) {
		opts = append(opts, bkllb.AddEnv(name, c.steps[flavor][name]))
	}
	for _, mount := range c.manager.Mounts {
		opts = append(opts, c.mount(mount))
	}
	return state.Run(c.script(c.manager.Install+c.release.Layers[flavor].Place()+seal), runOptions(opts)).Root()
}

func (c *compiler) mount(m recipes.Mount) bkllb.RunOption {
	switch m.Kind {
	case recipes.IndexMount:
		return bkllb.AddMount(m.Path, c.image(c.base.Index, "package lists"), bkllb.Readonly)
	case recipes.CacheMount:
		id := path.Join("cudabuild", c.os.Name, platforms.Format(c.platform), m.Path)
		return bkllb.AddMount(m.Path, bkllb.Scratch(), bkllb.AsPersistentCacheDir(id, bkllb.CacheMountLocked))
	default:
		return bkllb.AddMount(m.Path, bkllb.Scratch(), bkllb.Tmpfs())
	}
}

// sample compiles the cell's program in devel and places it on base.
func (c *compiler) sample(base, devel bkllb.State) bkllb.State {
	s, _ := samples.Lookup(c.cell.Sample)
	source := bkllb.Scratch().File(
		bkllb.Mkfile("/"+s.File, 0o644, s.Source, bkllb.WithCreatedTime(time.Unix(c.base.Epoch, 0))),
		bkllb.WithCustomNamef("[samples] %s", s.File))
	compile := withEnv(devel, c.release.LayerEnv(recipes.Devel)).Run(
		c.script(c.nvcc(s)+"\n"),
		c.title("compile %s", s.File),
		c.from("samples"),
		bkllb.AddMount("/run/cudabuild/src", source, bkllb.Readonly),
		bkllb.AddMount("/tmp", bkllb.Scratch(), bkllb.Tmpfs()),
	)
	program := compile.AddMount("/run/cudabuild/out", bkllb.Scratch())
	return base.Run(
		c.script("cp /run/cudabuild/out/"+s.Name+" /usr/local/bin/\n"+seal),
		c.title("place %s", s.Name),
		bkllb.AddEnv("EPOCH", c.epoch()),
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

// nvcc is the command that compiles a sample.
func (c *compiler) nvcc(s samples.Sample) string {
	return c.release.Nvcc("/run/cudabuild/src/"+s.File, "/run/cudabuild/out/"+s.Name)
}

// script runs text with sh -eu, from a file of its own so that errors stay short.
func (c *compiler) script(text string) bkllb.RunOption {
	file := bkllb.Scratch().File(
		bkllb.Mkfile("/step", 0o644, []byte(text), bkllb.WithCreatedTime(time.Unix(c.base.Epoch, 0))),
		bkllb.WithCustomNamef("[%s] script", c.os.Name))
	return runOptions{
		bkllb.Args([]string{"/bin/sh", "-eu", scriptPath}),
		bkllb.AddMount("/run", bkllb.Scratch(), bkllb.Tmpfs()), // where the mount points below are not kept
		bkllb.AddMount(scriptPath, file, bkllb.SourcePath("/step"), bkllb.Readonly),
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
