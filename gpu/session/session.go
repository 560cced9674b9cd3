// SPDX-License-Identifier: Apache-2.0

// Package session runs an image for somebody who is there: what `docker run` does with
// NVIDIA's runtime, without a daemon.
//
// [Run] is the entry; for containers that somebody else makes it is [Request.Program]. A [Request] is read together with the image's configuration
// by docker's rules; requirements of the image (NVIDIA_REQUIRE_*) are checked before
// anything starts; the program then runs in a container of package container, whose
// root is writable and gone afterwards. The package predicts and records nothing.
package session

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/host"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// Conditions of a request.
var (
	// ErrNoCommand means that neither the image nor the request says what to run.
	ErrNoCommand = hint.Usage("the image runs nothing by default", "name a command after the image")
	// ErrRefused means that a requirement of the image does not hold on this host.
	ErrRefused = hint.New("a requirement of the image does not hold", "-e NVIDIA_DISABLE_REQUIRE=true starts it all the same")
)

// Request is what the user wants otherwise than the image says.
type Request struct {
	Args       []string // in place of the image's command; nil for that
	Entrypoint *string  // in place of the image's, whose command then goes too
	Env        []string // NAME=VALUE, over the image's; NAME alone takes a variable away
	Engine     container.Engine
	Open       container.Open // its Dir and User over the image's
	Bounds     container.Bounds
}

// Run runs img on h, connected to streams, and returns the program's exit code. The
// end of ctx ends the preparations; the program itself is ended by signals alone. The
// error wraps ErrNoCommand or ErrRefused, or says why the program could not run.
func Run(ctx context.Context, h *host.Host, img v1.Image, r Request, streams container.Streams) (code int, err error) {
	file, err := img.ConfigFile()
	if err != nil {
		return 0, err
	}
	want, err := r.Program(file.Config)
	if err != nil {
		return 0, err
	}
	if why := h.Facts.Unmet(want.Env, h.GPUs); why != "" {
		return 0, fmt.Errorf("%w: %s", ErrRefused, why)
	}
	p, _, err := h.Program(ctx, img, r.Engine)
	if err != nil {
		return 0, err
	}
	p.Args, p.Env, p.Open, p.Bounds = want.Args, want.Env, want.Open, want.Bounds
	return h.Runner.Attach(context.WithoutCancel(ctx), p, streams)
}

// Program is what the request makes of an image's configuration, without a root file system and GPUs.
func (r Request) Program(c v1.Config) (container.Program, error) {
	args, err := r.command(c)
	return container.Program{Args: args, Env: r.environment(c.Env), Engine: r.Engine, Open: r.open(c), Bounds: r.Bounds}, err
}

// command is the entrypoint and its arguments.
func (r Request) command(c v1.Config) ([]string, error) {
	entrypoint, args := c.Entrypoint, c.Cmd
	if r.Entrypoint != nil {
		entrypoint, args = nil, nil
		if *r.Entrypoint != "" {
			entrypoint = []string{*r.Entrypoint}
		}
	}
	if len(r.Args) > 0 {
		args = r.Args
	}
	command := slices.Concat(entrypoint, args)
	if len(command) == 0 {
		return nil, ErrNoCommand
	}
	return command, nil
}

// environment is the image's with the request's, each name once, in the order in which
// the names came up.
func (r Request) environment(image []string) []string {
	base := []string{container.DefaultPath}
	if r.Open.Terminal {
		base = append(base, "TERM=xterm")
	}
	all := slices.Concat(base, image, r.Env)
	last := map[string]int{} // what counts of each name
	for i, e := range all {
		name, _, _ := strings.Cut(e, "=")
		last[name] = i
	}
	var env []string
	for _, e := range all {
		name, _, _ := strings.Cut(e, "=")
		if i, first := last[name]; first && strings.Contains(all[i], "=") {
			env = append(env, all[i])
		}
		delete(last, name)
	}
	return env
}

func (r Request) open(c v1.Config) *container.Open {
	open := r.Open
	if open.Dir == "" {
		open.Dir = c.WorkingDir
	}
	if open.User == "" {
		open.User = c.User
	}
	return &open
}
