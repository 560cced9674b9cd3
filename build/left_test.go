// SPDX-License-Identifier: Apache-2.0

package build

import "testing"

// TestAddTools: of several versions none is lost, and those of the root are its own.
func TestAddTools(t *testing.T) {
	t.Parallel()
	all := map[string]string{}
	for _, version := range []string{"v9", "v10", "v9"} {
		addTools(all, map[string]string{"cudabuild": version, "apt": "3"}, map[string]string{"apt": "3"})
	}
	if len(all) != 1 || all["cudabuild"] != "v10, v9" {
		t.Errorf("tools %v", all)
	}
}
