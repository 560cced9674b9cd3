// SPDX-License-Identifier: Apache-2.0

// Package emulator tells whether this machine runs programs that were made for another
// platform: because its processor does, or because an emulator is registered with the
// kernel (binfmt_misc) for all of the machine's programs. [Check] runs a program of a
// few instructions and, if that fails, says what is missing. The package registers
// nothing: that changes the whole machine, and is up to its owner (docs/platforms.md).
package emulator

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// ErrNone is the condition that programs of a platform do not run here.
var ErrNone = errors.New("programs of that platform do not run here")

// registrations is where the kernel lists the emulators.
const registrations = "/proc/sys/fs/binfmt_misc"

// Native reports whether a platform is the one that this program was made for.
func Native(platform string) bool { return platform == "linux/"+runtime.GOARCH }

// Check reports with [ErrNone] that programs of a platform ("linux/arm64") do not run
// in containers on this machine, and why.
func Check(platform string) error {
	p, known := programs[strings.TrimPrefix(platform, "linux/")]
	switch {
	case Native(platform):
		return nil
	case !known:
		return fmt.Errorf("%w: nothing is known about %q", ErrNone, platform)
	}
	data := p.bytes()
	if err := try(data); err != nil {
		return fmt.Errorf("%w: %s (%w)", ErrNone, missing(registrations, data), err)
	}
	return nil
}

// try runs a program alone in a root file system, as a container would: an emulator
// that the kernel has to look for there is not found. That takes root; without, the
// program runs where it lies.
func try(program []byte) error {
	dir, err := os.MkdirTemp("", "cudabuild-platform-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "exit")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		return err
	}
	for {
		cmd := exec.Command(path) //nolint:forbidigo // it ends at once
		if os.Geteuid() == 0 {
			cmd.Path, cmd.SysProcAttr = "/exit", &syscall.SysProcAttr{Chroot: dir}
		}
		// A child that is being forked just now may still hold the file open for writing.
		if err := cmd.Run(); !errors.Is(err, syscall.ETXTBSY) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}
