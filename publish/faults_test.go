// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/registrytest"
)

// TestFaults: every kind of fault in 30 % of the requests, and all kinds in 30 %: a push ends
// as if nothing had been.
func TestFaults(t *testing.T) {
	t.Parallel()
	tokens := registrytest.NewTokens(t)
	server := registrytest.Start(t, tokens)
	f := newFamily(t, made{seed: 1, day: 1})
	f.cells, f.record.Cells = f.cells[5:], f.record.Cells[5:] // one of two platforms
	kinds := registrytest.Kinds()
	cases := map[string][]registrytest.Kind{"all": kinds}
	for _, k := range kinds {
		cases[k.Name] = []registrytest.Kind{k}
	}
	n := 0
	for name, kinds := range cases {
		n++
		repo := "/faults-" + string(rune('a'+n))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := registrytest.Proxy(t, server.Host)
			proxy.Arm(registrytest.Random(7, 0.3, kinds), nil)
			o := f.options(proxy.Host + repo)
			o.Journals = t.TempDir()
			o.Registry.Keychain, o.Registry.Pause = me{}, time.Millisecond
			mustRun(t, publisher(t, o), nil)
			proxy.Arm(nil, nil)
			plan, err := publisher(t, o).Plan(t.Context())
			if err != nil || plan.Totals.Same != len(f.tags()) || plan.Totals.UploadBytes > 0 || plan.Totals.EvidenceNew > 0 {
				t.Errorf("afterwards: %+v, %v", plan, err)
			}
		})
	}
}
