// SPDX-License-Identifier: Apache-2.0

package observer

import (
	"fmt"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/samples"
)

// Sample is the sample that an image runs. Other programs need a test that says what their
// exit code means.
func Sample(src image.Source) (gpu.Test, error) {
	file, err := src.Image.ConfigFile()
	if err != nil {
		return gpu.Test{}, fmt.Errorf("%s: %w", src.Ref, err)
	}
	all := strings.Join(samples.Names(), ", ")
	args := command(file.Config)
	if len(args) == 0 {
		return gpu.Test{}, fmt.Errorf("%s: the image runs nothing by default, want a sample: %s", src.Ref, all)
	}
	test, known := gpu.Sample(path.Base(args[0]))
	if !known {
		return gpu.Test{}, fmt.Errorf("%s: the image runs %q, want a sample: %s", src.Ref, args[0], all)
	}
	return test, nil
}

func command(c v1.Config) []string { return slices.Concat(c.Entrypoint, c.Cmd) }

// newSubject reads what a test runs in an image.
func newSubject(src image.Source, test gpu.Test) (subject, error) {
	file, err := src.Image.ConfigFile()
	if err != nil {
		return subject{}, err
	}
	c := file.Config
	args := test.Run
	if args == nil {
		args = command(c)
	}
	if len(args) == 0 {
		return subject{}, fmt.Errorf("the image runs nothing by default, and test %q does not say what to run", test.Name)
	}
	env := slices.Clone(c.Env)
	if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		env = append(env, container.DefaultPath)
	}
	config, err := src.Image.ConfigName()
	if err != nil {
		return subject{}, err
	}
	s := subject{
		image: src.Image, ref: src.Ref, digest: src.Digest.String(), config: config.String(), cell: c.Labels[ocispec.AnnotationTitle],
		test: test, args: slices.Concat(args, test.More), env: env,
	}
	if test.Own() {
		s.open = &container.Open{Dir: c.WorkingDir, User: c.User, Powerless: true}
	}
	return s, nil
}

func (s subject) row(engine container.Engine, o *Observer) gpu.Row {
	return gpu.Row{
		Image: s.ref, Digest: s.digest, Config: s.config, Cell: s.cell, Sample: s.test.Name, Test: s.test.Digest, Expect: s.test.Expect, Engine: string(engine),
		Devices: gpu.UUIDs(o.GPUs), Indexes: gpu.Indexes(o.GPUs), StandIn: o.Facts.StandIn, Dry: o.Dry, Under: o.Facts.Under(o.GPUs),
		DeviceNodes: []string{}, Left: gpu.Left{Files: []string{}},
	}
}
