// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/cause"
	"github.com/cudabuild/cudabuild/recipes"
)

// Elsewhere runs steps on another machine.
type Elsewhere interface {
	// Run runs a step and leaves in dir what it has put into [Out]. The error of a step
	// whose output tells a cause has it: [cause.Error].
	Run(ctx context.Context, step Step, dir string) error
}

// Step is a run of mmdebstrap by two shell scripts, in a root that has no more
// privileges than any build step. They see the settings of apt, as [Store.AptConfig] has
// them, in /run/cudabuild/apt.conf if there are any.
type Step struct {
	OS, Platform string
	Image        string   // that it runs in: the OS's own
	Install      string   // script that brings mmdebstrap into the image
	Title        string   // of what follows
	Script       string   // runs mmdebstrap
	Arguments    []string // of Script
	Env          []string // of Script, NAME=VALUE
	// Sources is what Script finds in /run/cudabuild/sources.list; like the settings of apt
	// no part of what the step is, and kept nowhere.
	Sources []byte
	Again   bool // what an earlier run of the step has left does not do
}

// Out is the folder in which Script leaves what it makes.
const Out = "/run/cudabuild/out"

// there runs mmdebstrap in steps. With again, the first of them is not served from a cache.
type there struct {
	Elsewhere

	dir   string // of the store
	again bool
}

var (
	//go:embed scripts/install.sh
	installScript string
	//go:embed scripts/sources.sh
	sourcesScript string
	//go:embed scripts/root.sh
	rootScript string
)

func step(o recipes.OS, platform string) Step {
	return Step{OS: o.Name, Platform: platform, Image: o.Bootstrap.Image, Install: installScript}
}

func (t there) sources(ctx context.Context, o recipes.OS, platform string) (string, error) {
	dir, err := os.MkdirTemp(t.dir, "make-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	s := step(o, platform)
	s.Title, s.Script, s.Again = "ask mmdebstrap for its repositories", sourcesScript, t.again
	s.Arguments, s.Env = sourcesArguments(o, platform), surroundings(Out)
	left, err := t.run(ctx, s, dir)
	if err != nil {
		return "", err
	}
	defer left.Close()
	return readLeft(left, "sources.list")
}

func (t there) root(ctx context.Context, b bootstrap, dir string, w io.Writer) (map[string]string, error) {
	s := step(b.os, b.platform)
	s.Title, s.Script = "run mmdebstrap", b.state()+rootScript
	s.Arguments, s.Env, s.Sources = b.arguments(), b.environment(Out), []byte(strings.Join(b.used(), "\n")+"\n")
	left, err := t.run(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	defer left.Close()
	tools, err := readLeft(left, "tools")
	if err != nil {
		return nil, err
	}
	return parseTools(tools), copyLeft(w, left, "root.tar")
}

// state begins the script with the state of the repositories, so that another state is
// another step.
func (b bootstrap) state() string {
	var text strings.Builder
	for _, address := range slices.Sorted(maps.Keys(b.src.dates)) {
		fmt.Fprintf(&text, "# %s %s\n", address, b.src.dates[address].UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(&text, "cat >\"$CUDABUILD_DIR/sources.list\" <<'END'\n%s\nEND\n", strings.TrimSpace(b.src.own))
	return text.String()
}

// run returns dir as what the step has left in it, which is to be read with [openLeft].
func (t there) run(ctx context.Context, s Step, dir string) (*os.Root, error) {
	if s.Image == "" {
		return nil, fmt.Errorf("%w elsewhere: the recipe of %s names no bootstrap.image to do it in (%w)", ErrUnavailable, s.OS, Here(s.Platform))
	}
	err := t.Run(ctx, s, dir)
	var why *cause.Error
	if errors.As(err, &why) && why.Outage() && !errors.Is(why, unix.ENOSPC) {
		return nil, &UnreachableError{What: "the package repositories", Err: err}
	}
	if err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}
