// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"fmt"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify"
)

// TestMayRun: of a program that is known all parts must run, of another one any.
func TestMayRun(t *testing.T) {
	t.Parallel()
	part := func(runtime string, sm ...int) compat.Part {
		p := compat.Part{Name: fmt.Sprint(sm), Runtime: runtime}
		for _, n := range sm {
			p.SASS = append(p.SASS, compat.Target{SM: n})
		}
		return p
	}
	cudart := part("12.4")
	for name, tc := range map[string]struct {
		p           verify.Portability
		runs, maybe string
	}{
		"program":      {verify.Portability{Program: "/p", Needs: compat.Needs{Parts: []compat.Part{cudart, part("", 75, 90)}}}, "[{[sm_75 sm_90] 525.60.13  []}]", "[{[sm_75 sm_90] 525.60.13  []}]"},
		"two parts":    {verify.Portability{Program: "/p", Needs: compat.Needs{Parts: []compat.Part{part("12.4", 75), part("12.4", 90)}}}, "[]", "[]"},
		"any of two":   {verify.Portability{Needs: compat.Needs{Parts: []compat.Part{cudart, part("", 75), part("", 90)}}}, "[]", "[{[sm_75] 525.60.13  []} {[sm_90] 525.60.13  []}]"},
		"any, alike":   {verify.Portability{Needs: compat.Needs{Parts: []compat.Part{part("12.4", 90), part("12.4", 90)}}}, "[{[sm_90] 525.60.13  []}]", "[{[sm_90] 525.60.13  []}]"},
		"unsure":       {verify.Portability{Program: "/p", Unsure: "one file could not be read", Needs: compat.Needs{Parts: []compat.Part{part("12.4", 90)}}}, "[]", "[{[sm_90] 525.60.13  []}]"},
		"cannot start": {verify.Portability{Program: "/p", CannotStart: "no loader", Needs: compat.Needs{Parts: []compat.Part{part("12.4", 90)}}}, "[]", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := verify.Report{Portability: tc.p}
			runs, _ := r.Where(compat.HookCDI)
			if maybe := r.MayRun(compat.HookCDI); fmt.Sprint(runs) != tc.runs || fmt.Sprint(maybe) != tc.maybe {
				t.Errorf("runs on %v, may run on %v, want %s and %s", runs, maybe, tc.runs, tc.maybe)
			}
		})
	}
}
