// SPDX-License-Identifier: Apache-2.0

// Package predict says what a test in an image will do on a host, before anything of the image
// runs: from the verifier's report and what is known of the host alone.
//
// [New] reads what is run, [Subject.Report] asks the verifier about it and [Subject.On] makes the prediction.
package predict

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/samples"
	"github.com/cudabuild/cudabuild/verify"
)

// Subject is a test of an image.
type Subject struct {
	Image                     v1.Image
	Ref, Digest, Config, Cell string
	Test                      gpu.Test
	Args                      []string // all that is run, never empty
	Env                       []string // the image's
	Dir, User                 string   // the image's
}

// Host is a host for one run of a test.
type Host struct {
	Facts gpu.Host
	GPUs  []gpu.GPU // those that the container gets
	Dry   bool      // it gets no driver, and binds every symbol
}

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

// New reads what a test runs in an image.
func New(src image.Source, test gpu.Test) (Subject, error) {
	file, err := src.Image.ConfigFile()
	if err != nil {
		return Subject{}, fmt.Errorf("%s: %w", src.Ref, err)
	}
	c := file.Config
	args := test.Run
	if args == nil {
		args = command(c)
	}
	if len(args) == 0 {
		return Subject{}, fmt.Errorf("%s: the image runs nothing by default, and test %q does not say what to run", src.Ref, test.Name)
	}
	config, err := src.Image.ConfigName()
	if err != nil {
		return Subject{}, fmt.Errorf("%s: %w", src.Ref, err)
	}
	return Subject{
		Image: src.Image, Ref: src.Ref, Digest: src.Digest.String(), Config: config.String(), Cell: c.Labels[ocispec.AnnotationTitle],
		Test: test, Args: slices.Concat(args, test.More), Env: c.Env, Dir: c.WorkingDir, User: c.User,
	}, nil
}

// Row is a row of the test without what is seen.
func (s Subject) Row(engine string, h Host) gpu.Row {
	return gpu.Row{
		Image: s.Ref, Digest: s.Digest, Config: s.Config, Cell: s.Cell, Sample: s.Test.Name, Test: s.Test.Digest, Expect: s.Test.Expect, Engine: engine,
		Devices: gpu.UUIDs(h.GPUs), Indexes: gpu.Indexes(h.GPUs), StandIn: h.Facts.StandIn, Dry: h.Dry, Under: h.Facts.Under(h.GPUs),
		DeviceNodes: []string{}, Left: gpu.Left{Files: []string{}},
	}
}

// Report is the verifier's on the image with what the test runs. Unhooked is a container
// without GPUs.
func (s Subject) Report(ctx context.Context, v *verify.Verifier, unhooked bool) (verify.Report, error) {
	return v.Command(ctx, s.Ref, s.Image, verify.Command{Args: s.Test.Run, Unhooked: unhooked})
}
