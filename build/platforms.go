// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/internal/emulator"
)

// PlatformError means that images of a platform cannot be made: its programs do not run.
type PlatformError struct {
	Platform string
	Cell     string // the first that needs it
	Err      error  // where they do not run, and what is missing
}

func (e *PlatformError) Error() string {
	return fmt.Sprintf("cannot build %s for %s: %v", e.Cell, e.Platform, e.Err)
}

func (e *PlatformError) Unwrap() error { return e.Err }

// Hint is where programs of the platform run.
func (e *PlatformError) Hint() string {
	if errors.Is(e.Err, emulator.ErrNone) {
		return "run 'make emulator' as root, which changes the whole machine (docs/platforms.md), name a --builder that runs them, or take the platform out of the matrix"
	}
	return "name a --builder that runs them, or take the platform out of the matrix"
}

// checkPlatforms makes sure, before anything is made, that programs of every platform
// run where BuildKit runs the steps. Roots are bootstrapped here only if they run here, or
// BuildKit is here as well. What an earlier run left needs no program.
func (r *run) checkPlatforms(ctx context.Context) error {
	checked := map[string]bool{}
	for m := range r.manifests() {
		here := r.Engine.Address == "" && emulator.Native(m.platform)
		if checked[m.baseKey()] || here || !r.Bases.Refresh && r.known(ctx, m) {
			continue
		}
		checked[m.baseKey()] = true
		if err := r.checkPlatform(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) checkPlatform(ctx context.Context, m *manifest) error {
	if r.Engine.Address == "" {
		if err := emulator.Check(m.platform); err != nil {
			return &PlatformError{Platform: m.platform, Cell: m.cell.ID, Err: err}
		}
		return nil
	}
	if err := r.open(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(r.builders, func(b *builder) bool { return !b.isLost() && b.can(m.platform) }) {
		return nil
	}
	return r.noPlatform(m)
}

// noPlatform says for which platforms the builders run programs, where none does for an image's.
func (r *run) noPlatform(m *manifest) error {
	var all []string
	for _, b := range r.builders {
		if !b.isLost() {
			all = append(all, fmt.Sprintf("the BuildKit at %s runs programs for %s only", b.name(), strings.Join(b.engine.Platforms, ", ")))
		}
	}
	return &PlatformError{Platform: m.platform, Cell: m.cell.ID, Err: errors.New(strings.Join(all, "; "))}
}
