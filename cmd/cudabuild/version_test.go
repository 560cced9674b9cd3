// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime/debug"
	"testing"
)

// TestCommitOf: a commit counts only if the binary is what it says.
func TestCommitOf(t *testing.T) {
	t.Parallel()
	stamps := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "0123"}, {Key: "vcs.modified", Value: modified}}
	}
	for name, tc := range map[string]struct {
		settings []debug.BuildSetting
		want     string
	}{
		"clean":      {stamps("false"), "0123"},
		"changed":    {stamps("true"), ""},
		"no stamps":  {nil, ""},
		"other tool": {[]debug.BuildSetting{{Key: "vcs", Value: "hg"}, {Key: "vcs.revision", Value: "0123"}, {Key: "vcs.modified", Value: "false"}}, ""},
	} {
		if got := commitOf(tc.settings); got != tc.want {
			t.Errorf("%s: commit %q, want %q", name, got, tc.want)
		}
	}
}
