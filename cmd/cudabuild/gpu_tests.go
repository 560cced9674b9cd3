// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/observer"
	"github.com/cudabuild/cudabuild/gpu/predict"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/usertest"
)

// subject is a test of an image.
type subject struct {
	source image.Source
	given  string // the reference as the user gave it
	test   gpu.Test
	own    *usertest.Test // nil for a sample
}

// leftOut is a test that was not run in an image.
type leftOut struct {
	Test  string `json:"test"`
	Image string `json:"image"` // "" where no image was given that it is of
	Why   string `json:"why"`
}

// loadTests reads a file of tests, and returns it with the references of the images:
// those of the tests if the command line has none.
func loadTests(cmd *cobra.Command, file string, refs []string) ([]usertest.Test, []string, error) {
	if !cmd.Flags().Changed("tests") {
		if len(refs) == 0 {
			return nil, nil, errors.New("no IMAGE: name one, or --tests FILE whose tests do")
		}
		return nil, refs, nil
	}
	tests, err := usertest.Load(file)
	if err != nil {
		return nil, nil, tell(cmd, err, false)
	}
	if len(refs) > 0 {
		return tests, refs, nil
	}
	for _, t := range tests {
		if t.Image == "" || strings.ContainsAny(t.Image, "*?[") {
			return nil, nil, fmt.Errorf("%s: test %q names no one image (%q): name images on the command line", file, t.Name, t.Image)
		}
		if !slices.Contains(refs, t.Image) {
			refs = append(refs, t.Image)
		}
	}
	return tests, refs, nil
}

// openAll opens every image of every reference.
func openAll(ctx context.Context, refs []string, opts image.OpenOptions) (all []subject, closeAll func(), err error) {
	var closers []func() error
	closeAll = func() {
		for _, c := range closers {
			_ = c()
		}
	}
	for _, ref := range refs {
		sources, closer, err := image.Open(ctx, ref, opts)
		if err != nil {
			closeAll()
			return nil, nil, unknown(err)
		}
		closers = append(closers, closer.Close)
		for _, src := range sources {
			all = append(all, subject{source: src, given: ref})
		}
	}
	return all, closeAll, nil
}

// choose says what is run in each image: its own sample, or the tests that are of it. Problems
// are of images of which it cannot be said.
func choose(images []subject, tests []usertest.Test) (chosen []subject, left []leftOut, problems []error) {
	if tests == nil {
		chosen, problems = samplesOf(images)
		return chosen, nil, problems
	}
	for i, t := range tests {
		before := len(chosen)
		for _, s := range images {
			file, err := s.source.Image.ConfigFile()
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", s.source.Ref, err))
				continue
			}
			if t.Of(file.Config.Labels[ocispec.AnnotationTitle], s.given, s.source.Ref) {
				s.test, s.own = gpu.Own(t), &tests[i]
				chosen = append(chosen, s)
			}
		}
		if len(chosen) == before {
			left = append(left, leftOut{t.Name, "", fmt.Sprintf("no image that was given matches %q", t.Image)})
		}
	}
	return chosen, left, problems
}

func samplesOf(images []subject) (chosen []subject, problems []error) {
	for _, s := range images {
		var err error
		if s.test, err = predict.Sample(s.source); err != nil {
			problems = append(problems, err)
		} else {
			chosen = append(chosen, s)
		}
	}
	return chosen, problems
}

// fit leaves out what cannot run with this host's driver and the chosen GPUs.
func fit(o *observer.Observer, all []subject) (fits []subject, left []leftOut) {
	var architectures []string
	for _, g := range o.GPUs {
		architectures = append(architectures, o.Facts.Compat(g).GPU.String())
	}
	for _, s := range all {
		if s.own != nil {
			if why := s.own.Unfit(o.Facts.Driver, architectures); why != "" {
				left = append(left, leftOut{s.test.Name, s.source.Ref, why})
				continue
			}
		}
		fits = append(fits, s)
	}
	return fits, left
}
