// SPDX-License-Identifier: Apache-2.0

package observer

import (
	"fmt"
	"path"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/samples"
)

// newSubject reads what an image runs. Only samples can be run: of another program
// nobody could say what its exit code means.
func newSubject(src image.Source) (subject, error) {
	file, err := src.Image.ConfigFile()
	if err != nil {
		return subject{}, err
	}
	c := file.Config
	args := append(slices.Clone(c.Entrypoint), c.Cmd...)
	if len(args) == 0 {
		return subject{}, fmt.Errorf("the image runs nothing by default, want a sample: %s", strings.Join(samples.Names(), ", "))
	}
	sample := path.Base(args[0])
	if !slices.Contains(samples.Names(), sample) {
		return subject{}, fmt.Errorf("the image runs %q, want a sample: %s", args[0], strings.Join(samples.Names(), ", "))
	}
	env := slices.Clone(c.Env)
	if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		env = append(env, container.DefaultPath)
	}
	config, err := src.Image.ConfigName()
	if err != nil {
		return subject{}, err
	}
	return subject{
		image: src.Image, ref: src.Ref, digest: src.Digest.String(), config: config.String(), cell: c.Labels[ocispec.AnnotationTitle],
		sample: sample, args: append(args, "--json"), env: env,
	}, nil
}

func (s subject) row(engine container.Engine, o *Observer) gpu.Row {
	return gpu.Row{
		Image: s.ref, Digest: s.digest, Config: s.config, Cell: s.cell, Sample: s.sample, Engine: string(engine),
		Devices: gpu.UUIDs(o.GPUs), Indexes: gpu.Indexes(o.GPUs), StandIn: o.Facts.StandIn, Dry: o.Dry, Under: o.Facts.Under(o.GPUs),
		DeviceNodes: []string{}, Left: gpu.Left{Files: []string{}},
	}
}
