// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu/rootfs"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// ErrUnsound means that none of the runtimes at hand may start what is in an image.
var ErrUnsound = hint.New("no runc that can be used", "put the runc that 'make tools' builds beside cudabuild, or a newer one on the PATH")

// leak is what an unsound runtime does. A hook is a program of the host's that runs as
// root, and not all specifications of hooks come from us.
const leak = "it gives hooks the environment of the container, so that a library which an image names in LD_PRELOAD would run on this host as root"

// soundFile says what was seen of the runtimes, by their stamps.
const soundFile = "sound.json"

// Sound returns the first of the candidates, paths of runc, that keeps the environment of
// a container to itself. Each is tried with a container of no image, and not again until
// its file is another. The error wraps [ErrUnsound] if there is none.
func (r *Runner) Sound(ctx context.Context, candidates ...string) (string, error) {
	seen, errs := map[string]bool{}, []error{ErrUnsound}
	_ = readJSON(filepath.Join(r.Dir, soundFile), &seen) // what cannot be read is seen again
	for _, runc := range candidates {
		stamp, err := stampOf(runc)
		sound, known := seen[stamp]
		if err == nil && !known {
			if sound, err = r.try(ctx, runc); err == nil {
				seen[stamp] = sound
				err = writeJSON(filepath.Join(r.Dir, soundFile), seen)
			}
		}
		switch {
		case err == nil && sound:
			return runc, nil
		case err == nil:
			err = errors.New(leak)
		}
		errs = append(errs, fmt.Errorf("%s: %w", runc, err))
	}
	return "", errors.Join(errs...)
}

// stampOf changes with the file that a path leads to.
func stampOf(name string) (string, error) {
	var s unix.Stat_t
	if err := unix.Stat(name, &s); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d:%d %d %d.%09d", s.Dev, s.Ino, s.Size, s.Ctim.Sec, s.Ctim.Nsec), nil
}

// try reports whether a hook without an environment gets none of the container's.
func (r *Runner) try(ctx context.Context, runc string) (sound bool, err error) {
	cp, err := exec.LookPath("cp")
	if err != nil {
		return false, err
	}
	dir, release, err := r.claim(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, release()) }()
	root, seen := filepath.Join(dir, "empty"), filepath.Join(dir, "environ")
	if err := os.Mkdir(root, 0o755); err != nil {
		return false, err
	}
	const marker = "LD_PRELOAD=/cudabuild-marker"
	p := Program{
		Root: rootfs.Root{root}, Args: []string{"/nothing"}, Env: []string{marker}, Engine: Direct, Limit: time.Minute,
		bare: []string{cp, "/proc/self/environ", seen},
	}
	out, err := (&Runner{Dir: r.Dir, Inside: r.Inside, Runc: runc}).do(ctx, dir, p)
	if err != nil {
		return false, err
	}
	environ, err := os.ReadFile(seen)
	if err != nil { // the program that is not there is no problem: its hook comes first
		return false, fmt.Errorf("it cannot be tried: %s", out.Problem)
	}
	return !bytes.Contains(environ, []byte(marker)), nil
}
