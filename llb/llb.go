// SPDX-License-Identifier: Apache-2.0

// Package llb compiles cells of the matrix to BuildKit graphs.
//
// [Compiler.Compile] returns, for one cell on one platform, the graph of its root file
// system and its image configuration. The flavors of a CUDA release are one chain,
// base <- runtime <- devel, each a single step; a sample is compiled in devel and
// its program placed on base. Equal steps of different cells are equal vertices,
// so a daemon runs each once however many cells ask for it, and a [Compiler] makes
// each once, too.
//
// The package is pure and deterministic: the same cell, recipes and bases give the
// same bytes, in any process. It asks no registry and never reads the clock.
package llb

import (
	"context"
	"fmt"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/matrix"
)

// BaseStore is the name under which a solve must offer the images of every Base
// (client.SolveOpt.OCIStores).
const BaseStore = "cudabuild-bases"

// Base is a bootstrapped OS as the graph refers to it.
type Base struct {
	Root   digest.Digest // manifest of the root file system
	Image  string        // where a registry has the root, by that digest; "" if BaseStore has it
	Lists  digest.Digest // manifest of the package lists in BaseStore
	Config ocispec.Image // of Root
	Epoch  int64         // seconds since 1970, the time of everything built
}

// Image is a compiled cell.
type Image struct {
	Definition *bkllb.Definition
	Config     ocispec.Image
}

// Compiler compiles cells. The steps of a CUDA release on one base are made for the
// first of its cells and kept for the others, in some 40 KiB. Its zero value is ready,
// and it may be used by several goroutines.
type Compiler struct {
	// Proxy, if set, is what every step finds in its environment. Ops differ by it, what
	// BuildKit remembers of them does not.
	Proxy *bkllb.ProxyEnv

	families memo[key, *family]
	files    files
}

// Compile compiles a cell for one of its platforms on that base. It returns an error
// only for a cell that does not fit its recipe. Images share memory: what they hold is
// not to be changed.
func (c *Compiler) Compile(ctx context.Context, cell matrix.Cell, platform string, base Base) (*Image, error) {
	f, err := c.family(cell, platform, base)
	if err != nil {
		return nil, err
	}
	img, err := f.Image(cell)
	if err != nil {
		return nil, err
	}
	def, err := f.state(img.Steps).Marshal(ctx, bkllb.Platform(f.platform), bkllb.LocalUniqueID("cudabuild"))
	if err != nil {
		return nil, fmt.Errorf("cell %s: %w", cell.ID, err)
	}
	return &Image{Definition: def, Config: f.config(img, base.Config)}, nil
}

// family returns the family of a cell.
func (c *Compiler) family(cell matrix.Cell, platform string, base Base) (*family, error) {
	k := keyOf(cell, platform, base)
	if f, ok := c.families.find(k); ok {
		return f, nil
	}
	f, err := c.newFamily(cell, k)
	if err != nil {
		return nil, err
	}
	return c.families.keep(k, f), nil
}
