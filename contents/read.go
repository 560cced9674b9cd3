// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify"
)

// Lister reads the packages of an image; a [verify.Verifier] is one.
type Lister interface {
	Inventory(ctx context.Context, ref string, img v1.Image) (verify.Inventory, error)
}

var _ Lister = (*verify.Verifier)(nil)

// Bounds of what somebody else's image may say: more is cut off, and ends in "...".
const (
	maxText  = 16 << 10
	maxSteps = 10_000
)

// Read says what img holds; ref is what errors call it. The error means that manifest or configuration cannot be read, or
// that ctx has ended. Packages that cannot be told are none, and Unlisted says why.
func Read(ctx context.Context, lister Lister, ref string, img v1.Image) (Image, error) {
	manifest, config, err := documents(img)
	if err != nil {
		return Image{}, fmt.Errorf("%s: %w", ref, err)
	}
	read := Image{
		Layers:   make([]Layer, 0, len(manifest.Layers)),
		History:  steps(config.History, len(manifest.Layers)),
		Config:   configOf(config.Config),
		Packages: []verify.Package{},
	}
	for _, layer := range manifest.Layers {
		read.Layers = append(read.Layers, Layer{layer.Digest.String(), layer.Size})
	}
	list, err := lister.Inventory(ctx, ref, img)
	switch {
	case ctx.Err() != nil:
		return Image{}, ctx.Err()
	case err != nil:
		read.Unlisted = strings.TrimPrefix(err.Error(), ref+": ")
	default:
		read.Packages = append(read.Packages, list.Packages...)
	}
	return read, nil
}

func documents(img v1.Image) (manifest *v1.Manifest, config *v1.ConfigFile, err error) {
	if manifest, err = img.Manifest(); err != nil {
		return nil, nil, fmt.Errorf("manifest: %w", err)
	}
	if config, err = image.Config(img); err != nil {
		return nil, nil, err
	}
	if ids := len(config.RootFS.DiffIDs); ids != len(manifest.Layers) {
		err = fmt.Errorf("the manifest names %d layers, the config %d", len(manifest.Layers), ids)
	}
	return manifest, config, err
}

// steps are the entries of a history. Where it does not have one for each layer, as of images that were squashed, nobody
// can tell which entry made which.
func steps(history []v1.History, layers int) []Step {
	made := 0
	for _, h := range history {
		if !h.EmptyLayer {
			made++
		}
	}
	all, next := []Step{}, 0
	for _, h := range history[:min(len(history), maxSteps)] {
		step := Step{CreatedBy: short(h.CreatedBy), Layer: -1}
		if !h.EmptyLayer && made == layers {
			step.Layer = next
			next++
		}
		all = append(all, step)
	}
	return all
}

func configOf(c v1.Config) Config {
	read := Config{Env: []string{}, Entrypoint: shorts(c.Entrypoint), Cmd: shorts(c.Cmd), User: short(c.User), WorkingDir: short(c.WorkingDir)}
	read.Env = append(read.Env, shorts(c.Env)...)
	if len(c.Labels) > 0 {
		read.Labels = map[string]string{}
	}
	for name, value := range c.Labels {
		read.Labels[short(name)] = short(value)
	}
	return read
}

func shorts(all []string) []string {
	all = slices.Clone(all)
	for i, text := range all {
		all[i] = short(text)
	}
	return all
}

func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "..."
}
