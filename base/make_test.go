// SPDX-License-Identifier: Apache-2.0

package base

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// TestMmdebstrapError: of all that mmdebstrap prints, the cause counts.
func TestMmdebstrapError(t *testing.T) {
	t.Parallel()
	const end = "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?\nE: setup failed: E: apt-get failed\nE: mmdebstrap failed to run\n"
	for name, test := range map[string]struct {
		output, text, hint string
		outage, full       bool
	}{
		"gone":  {"E: Failed to fetch http://m.example/pool/libc6_2.41-12_amd64.deb  404  Not Found [IP: 10.0.0.1 80]\n" + end, "package libc6 2.41-12: ", "--refresh", false, false},
		"down":  {"E: Failed to fetch http://m.example/pool/libc6_2.41-12_amd64.deb  503  Service Unavailable\n" + end, "package libc6 2.41-12: ", "later", true, false},
		"full":  {"dpkg-deb: error: No space left on device\n" + end, "disk is full", "space", false, true},
		"other": {"I: all is well\n" + end, "failed to run", "", false, false},
	} {
		err := mmdebstrapError(errors.New("exit status 1"), test.output)
		if !strings.Contains(err.Error(), test.text) || !strings.Contains(hint.Of(err), test.hint) || errors.Is(err, ErrUnreachable) != test.outage || errors.Is(err, unix.ENOSPC) != test.full {
			t.Errorf("%s: %v (hint %q), want %q, %q, outage %v, full disk %v", name, err, hint.Of(err), test.text, test.hint, test.outage, test.full)
		}
	}
}
