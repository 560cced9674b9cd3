// SPDX-License-Identifier: Apache-2.0

// Package llb compiles cells of the matrix to BuildKit graphs.
//
// [Compile] returns, for one cell on one platform, the graph of its root file
// system and its image configuration. The flavors of a CUDA release are one chain,
// base <- runtime <- devel, each a single step; a sample is compiled in devel and
// its program placed on base. Equal steps of different cells are equal vertices,
// so a daemon runs each once however many cells ask for it.
//
// The package is pure and deterministic: the same cell, recipes and bases give the
// same bytes, in any process. It asks no registry and never reads the clock.
package llb

import (
	"context"
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

// BaseStore is the name under which a solve must offer the images of every Base
// (client.SolveOpt.OCIStores).
const BaseStore = "cudabuild-bases"

// Base is a bootstrapped OS as the graph refers to it.
type Base struct {
	Root   digest.Digest // manifest of the root file system in BaseStore
	Index  digest.Digest // manifest of the package lists in BaseStore
	Config ocispec.Image // of Root
	Epoch  int64         // seconds since 1970, the time of everything built
}

// Image is a compiled cell.
type Image struct {
	Definition *bkllb.Definition
	Config     ocispec.Image
}

// Compile compiles a cell for one of its platforms on that base. It returns an
// error only for a cell that does not fit the catalog.
func Compile(ctx context.Context, catalog *recipes.Catalog, cell matrix.Cell, platform string, base Base) (*Image, error) {
	c, err := newCompiler(catalog, cell, platform, base)
	if err != nil {
		return nil, err
	}
	state, config := c.state(), c.config()
	def, err := state.Marshal(ctx, bkllb.Platform(c.platform), bkllb.LocalUniqueID("cudabuild"))
	if err != nil {
		return nil, fmt.Errorf("cell %s: %w", cell.ID, err)
	}
	return &Image{Definition: def, Config: config}, nil
}

// compiler holds what all steps of one cell share.
type compiler struct {
	cell     matrix.Cell
	os       recipes.OS
	release  recipes.Release
	manager  recipes.Manager
	steps    map[recipes.Flavor]map[string]string // variables of each
	platform ocispec.Platform
	base     Base
}

func newCompiler(catalog *recipes.Catalog, cell matrix.Cell, platform string, base Base) (*compiler, error) {
	os, known := catalog.OS(cell.OS)
	release, packaged := cell.Release(catalog)
	if !known || !packaged {
		return nil, fmt.Errorf("cell %s: no recipe for CUDA %s on %s", cell.ID, cell.CUDA, cell.OS)
	}
	p, err := platforms.Parse(platform)
	if err != nil {
		return nil, fmt.Errorf("cell %s: %w", cell.ID, err)
	}
	manager := catalog.Manager(os)
	steps := map[recipes.Flavor]map[string]string{}
	for _, flavor := range release.Flavors() {
		if steps[flavor], err = catalog.Variables(os, release, flavor); err != nil {
			return nil, fmt.Errorf("cell %s: %w", cell.ID, err)
		}
	}
	return &compiler{cell: cell, os: os, release: release, manager: manager, steps: steps, platform: p, base: base}, nil
}

// state is the root file system of the cell.
func (c *compiler) state() bkllb.State {
	if c.cell.Sample != "" {
		return c.sample(c.chain(c.release.Lowest()), c.chain(recipes.Devel))
	}
	return c.chain(c.cell.Flavor)
}

// chain stacks the layers of every flavor up to last on the root.
func (c *compiler) chain(last recipes.Flavor) bkllb.State {
	state := c.image(c.base.Root, "root file system")
	for _, flavor := range c.release.Chain(last) {
		state = c.install(state, flavor)
	}
	return state
}

// image is an image of BaseStore. Its session is left empty: with one, every solve
// would see a different vertex and build everything on it again.
func (c *compiler) image(manifest digest.Digest, what string) bkllb.State {
	return bkllb.OCILayout("cudabuild/"+c.os.Name+"@"+manifest.String(),
		bkllb.OCIStore("", BaseStore), bkllb.Platform(c.platform),
		bkllb.WithCustomNamef("[%s] %s", c.place(), what))
}

func (c *compiler) epoch() string { return strconv.FormatInt(c.base.Epoch, 10) }

// place is the OS as steps are named by it, with the architecture if there are several.
func (c *compiler) place() string {
	if len(c.cell.Platforms) > 1 {
		return c.os.Name + " " + c.platform.Architecture
	}
	return c.os.Name
}

// title names a step that several cells share: by OS and CUDA, never by cell,
// because whichever cell comes first names it.
func (c *compiler) title(format string, args ...any) bkllb.ConstraintsOpt {
	return bkllb.WithCustomNamef("[%s cuda %s] %s", c.place(), c.release.CUDA, fmt.Sprintf(format, args...))
}

// from lets an error of a step point at the line of the recipe that asks for it.
func (c *compiler) from(part string) bkllb.ConstraintsOpt {
	file, line := c.release.Where(part)
	at := &pb.Position{Line: int32(line)}
	return bkllb.NewSourceMap(nil, file, "YAML", nil).Location([]*pb.Range{{Start: at, End: at}})
}
