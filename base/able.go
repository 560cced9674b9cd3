// SPDX-License-Identifier: Apache-2.0

package base

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// ErrUnavailable is the condition that no root can be made on this machine.
var ErrUnavailable = hint.Privileged("cannot bootstrap on this machine", "run 'make deps'", "run as root after 'make deps'")

// able returns an error that matches ErrUnavailable and says what is missing.
func able() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it needs root", ErrUnavailable)
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("%w: mmdebstrap is not on PATH (run 'make deps')", ErrUnavailable)
	}
	return nil
}
