// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
)

// key is what the steps of a family depend on.
type key struct {
	recipe      *recipes.Recipe
	on          string // platform
	several     bool   // platforms, so that steps are named by theirs
	root, lists digest.Digest
	image       string // of root, in a registry
	epoch       int64
}

func keyOf(cell matrix.Cell, platform string, base Base) key {
	return key{cell.Recipe, platform, len(cell.Platforms) > 1, base.Root, base.Lists, base.Image, base.Epoch}
}

// family is a family of the plan on a root.
type family struct {
	*plan.Family
	key

	platform ocispec.Platform
	files    *files
	proxy    *bkllb.ProxyEnv
	lists    bkllb.State            // package lists
	states   map[string]bkllb.State // after each step that makes a flavor; "" is the root
}

func (c *Compiler) newFamily(cell matrix.Cell, k key) (*family, error) {
	p, err := platforms.Parse(k.on)
	if err != nil {
		return nil, fmt.Errorf("cell %s: %w", cell.ID, err)
	}
	planned, err := plan.NewFamily(cell, k.on)
	if err != nil {
		return nil, err
	}
	f := &family{Family: planned, key: k, platform: p, files: &c.files, proxy: c.Proxy}
	f.lists = f.stored(f.key.lists, "package lists")
	f.states = map[string]bkllb.State{"": f.rootState()}
	for _, step := range f.Flavors {
		f.states[step.Name] = f.share(f.run(step, f.states))
	}
	return f, nil
}

// state is the file system that the last of the steps makes.
func (f *family) state(steps []plan.Step) bkllb.State {
	states := maps.Clone(f.states)
	var last bkllb.State
	for _, step := range steps {
		if _, made := states[step.Name]; !made {
			states[step.Name] = f.run(step, states)
		}
		last = states[step.Name]
	}
	return last
}

// share returns a state for all cells of the family.
func (f *family) share(state bkllb.State) bkllb.State {
	return bkllb.NewState(share(state.Output())).Platform(f.platform)
}

// rootState is the root file system. The BuildKit at hand pulls a vendor's image by itself.
func (f *family) rootState() bkllb.State {
	const what = "root file system"
	if f.image == "" {
		return f.stored(f.root, what)
	}
	return f.share(bkllb.Image(f.image, bkllb.Platform(f.platform), bkllb.WithCustomNamef("[%s] %s", f.where(), what)))
}

// stored is an image of BaseStore. Its session is left empty: with one, every solve
// would see a different vertex and build everything on it again.
func (f *family) stored(manifest digest.Digest, what string) bkllb.State {
	return f.share(bkllb.OCILayout("cudabuild/"+f.OS.Name+"@"+manifest.String(),
		bkllb.OCIStore("", BaseStore), bkllb.Platform(f.platform),
		bkllb.WithCustomNamef("[%s] %s", f.where(), what)))
}

// date is EPOCH as scripts read it.
func (f *family) date() string { return strconv.FormatInt(f.epoch, 10) }

// where is the OS as steps are named by it, with the architecture if there are several.
func (f *family) where() string {
	if f.several {
		return f.OS.Name + " " + f.platform.Architecture
	}
	return f.OS.Name
}

// title names a step that several cells share: by OS and CUDA, never by cell,
// because whichever cell comes first names it.
func (f *family) title(step plan.Step) bkllb.ConstraintsOpt {
	return bkllb.WithCustomNamef("[%s cuda %s] %s", f.where(), f.Release.CUDA, step.Title)
}

// from lets an error of a step point at the line of the recipe that asks for it.
func from(step plan.Step) bkllb.ConstraintsOpt {
	at := &pb.Position{Line: int32(step.Line)}
	return bkllb.NewSourceMap(nil, step.File, "YAML", nil).Location([]*pb.Range{{Start: at, End: at}})
}
