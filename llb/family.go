// SPDX-License-Identifier: Apache-2.0

package llb

import (
	"fmt"
	"strconv"

	"github.com/containerd/platforms"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
)

// kin is what the steps of a cell depend on. Cells of equal kin are one family.
type kin struct {
	osName, cuda string
	compat       bool
	onPlatform   string
	several      bool // platforms, so that steps are named by theirs
	root, index  digest.Digest
	epoch        int64
}

func kinOf(cell matrix.Cell, platform string, base Base) kin {
	return kin{cell.OS, cell.CUDA, cell.Compat, platform, len(cell.Platforms) > 1, base.Root, base.Index, base.Epoch}
}

// family is a CUDA release on a root: what is the same for all its cells.
type family struct {
	kin
	os       recipes.OS
	release  recipes.Release
	manager  recipes.Manager
	platform ocispec.Platform
	files    *files
	steps    map[recipes.Flavor]map[string]string // variables of each
	lists    bkllb.State                          // package lists
	flavors  map[recipes.Flavor]bkllb.State       // the root with the steps up to each
}

func (c *Compiler) newFamily(cell matrix.Cell, platform string, k kin) (*family, error) {
	os, known := c.catalog.OS(cell.OS)
	release, packaged := cell.Release(c.catalog)
	if !known || !packaged {
		return nil, fmt.Errorf("no recipe for CUDA %s on %s", cell.CUDA, cell.OS)
	}
	p, err := platforms.Parse(platform)
	if err != nil {
		return nil, err
	}
	release = release.On(platform)
	f := &family{kin: k, os: os, release: release, manager: c.catalog.Manager(os), platform: p, files: &c.files}
	f.steps = map[recipes.Flavor]map[string]string{}
	for _, flavor := range release.Flavors() {
		if f.steps[flavor], err = c.catalog.Variables(os, release, flavor); err != nil {
			return nil, err
		}
	}
	f.stack()
	return f, nil
}

// stack makes every flavor out of the one that it stands on.
func (f *family) stack() {
	root := f.image(f.root, "root file system")
	f.lists = f.image(f.index, "package lists")
	f.flavors = map[recipes.Flavor]bkllb.State{}
	for _, flavor := range f.release.Flavors() {
		below := root
		if chain := f.release.Chain(flavor); len(chain) > 1 {
			below = f.flavors[chain[len(chain)-2]]
		}
		f.flavors[flavor] = f.share(f.install(below, flavor))
	}
}

// share returns a state for all cells of the family.
func (f *family) share(state bkllb.State) bkllb.State {
	return bkllb.NewState(share(state.Output())).Platform(f.platform)
}

// image is an image of BaseStore. Its session is left empty: with one, every solve
// would see a different vertex and build everything on it again.
func (f *family) image(manifest digest.Digest, what string) bkllb.State {
	return f.share(bkllb.OCILayout("cudabuild/"+f.os.Name+"@"+manifest.String(),
		bkllb.OCIStore("", BaseStore), bkllb.Platform(f.platform),
		bkllb.WithCustomNamef("[%s] %s", f.where(), what)))
}

// date is EPOCH as scripts read it.
func (f *family) date() string { return strconv.FormatInt(f.epoch, 10) }

// where is the OS as steps are named by it, with the architecture if there are several.
func (f *family) where() string {
	if f.several {
		return f.os.Name + " " + f.platform.Architecture
	}
	return f.os.Name
}

// title names a step that several cells share: by OS and CUDA, never by cell,
// because whichever cell comes first names it.
func (f *family) title(format string, args ...any) bkllb.ConstraintsOpt {
	return bkllb.WithCustomNamef("[%s cuda %s] %s", f.where(), f.release.CUDA, fmt.Sprintf(format, args...))
}

// from lets an error of a step point at the line of the recipe that asks for it.
func (f *family) from(part string) bkllb.ConstraintsOpt {
	file, line := f.release.Where(part)
	at := &pb.Position{Line: int32(line)}
	return bkllb.NewSourceMap(nil, file, "YAML", nil).Location([]*pb.Range{{Start: at, End: at}})
}
