// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"testing"

	"github.com/cudabuild/cudabuild/compat"
)

// TestWhoRefuses: what the host does not offer is named with those who go by it.
func TestWhoRefuses(t *testing.T) {
	t.Parallel()
	const refused = ": the legacy hook, cudabuild run and cudabuild gpu refuse to start it"
	for _, tc := range []struct{ env, want string }{
		{"NVIDIA_REQUIRE_CUDA=cuda>=12.4", "NVIDIA_REQUIRE_CUDA does not hold: cuda>=12.4: driver 535.161.07 offers CUDA 12.2 (driver 550.54.14 or newer would do)"},
		{"NVIDIA_REQUIRE_X=bogus=1", `NVIDIA_REQUIRE_X is malformed: term "bogus=1": unknown property "bogus" (want cuda, driver, arch or brand)`},
		{"CUDA_VERSION=cu121", `CUDA_VERSION is malformed: "cu121" is no version such as 12.4.1 (the hook wants one where there is no NVIDIA_REQUIRE_CUDA)`},
	} {
		require, _ := compat.Requirements([]string{tc.env})
		for hook, end := range map[compat.Hook]string{compat.HookCDI: refused + "; CDI modes start it all the same", compat.HookLegacy: refused} {
			p := compat.Predict(compat.Needs{Require: require}, compat.Host{Driver: "535.161.07", GPU: compat.Target{SM: 80}, Hook: hook})
			if p.Verdict != compat.No || p.Why != tc.want+end {
				t.Errorf("%s, %s: %s (%s), want no (%s)", tc.env, hook, p.Verdict, p.Why, tc.want+end)
			}
		}
	}
}
