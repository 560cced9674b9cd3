// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/cudabuild/cudabuild/internal/contain"
	"github.com/cudabuild/cudabuild/internal/emulator"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/recipes"
)

// ErrUnavailable is the condition that no root can be made.
var ErrUnavailable = hint.Privileged("cannot bootstrap",
	"run 'make deps', or name a running BuildKit with --builder, which then bootstraps",
	"name a running BuildKit with --builder, which then bootstraps, or run as root after 'make deps'")

// here runs mmdebstrap on this machine.
type here struct {
	dir      string // of the store
	settings []byte // of this machine's apt
}

// Here returns an error that matches [ErrUnavailable] if no root for that platform can be
// made on this machine, and says what is missing.
func Here(platform string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w on this machine: it needs root", ErrUnavailable)
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("%w on this machine: mmdebstrap is not on PATH (run 'make deps')", ErrUnavailable)
	}
	if err := emulator.Check(platform); err != nil {
		return fmt.Errorf("%w for %s on this machine: %w", ErrUnavailable, platform, err)
	}
	return nil
}

// sources runs mmdebstrap up to its first hook.
func (h here) sources(ctx context.Context, o recipes.OS, platform string) (string, error) {
	dir, err := os.MkdirTemp(h.dir, "make-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, "mmdebstrap", sourcesArguments(o, platform)...)
	cmd.Env = append(os.Environ(), surroundings(dir)...)
	out, runErr := cmd.CombinedOutput()
	if data, err := os.ReadFile(filepath.Join(dir, "sources.list")); err == nil {
		return string(data), nil
	}
	return "", mmdebstrapError(runErr, string(out))
}

func (h here) root(ctx context.Context, b bootstrap, dir string, w io.Writer) (map[string]string, error) {
	program, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "apt", "apt.conf.d"), 0o700),
		os.WriteFile(filepath.Join(dir, "sources.list"), []byte(b.src.own), 0o644),
		os.WriteFile(filepath.Join(dir, "apt", "auth.conf"), []byte(b.src.auth), 0o600),
		os.WriteFile(filepath.Join(dir, "apt", "apt.conf.d", "cudabuild"), h.settings, 0o600),
	); err != nil {
		return nil, err
	}
	cmd := contain.Command(program, append(b.arguments(), b.used()...)...)
	cmd.Env = append(os.Environ(), b.environment(dir)...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	if err := contain.Run(ctx, cmd, nil); err != nil {
		return nil, mmdebstrapError(err, stderr.String())
	}
	// It fails if one of them is missing, and prints the others.
	out, _ := exec.CommandContext(ctx, "dpkg-query", append([]string{"--show", "--showformat=" + toolFormat}, toolPackages...)...).Output()
	return parseTools(string(out)), nil
}
