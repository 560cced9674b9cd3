// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/report"
)

// TestOrder: branches that get updates or that a host has come first, the newest before the others, and grids with them.
func TestOrder(t *testing.T) {
	t.Parallel()
	yes, no := report.Answer{How: report.Predicted, Runs: "yes"}, report.Answer{How: report.Predicted, Runs: "no"}
	d := one(yes)
	d.Answers = append(d.Answers, no)
	d.Drivers = []report.Driver{{Branch: "470", Ended: true}, {Branch: "535", Ended: true, Hosts: []string{"gpu-1"}}, {Branch: "570", Ended: true}, {Branch: "580"}}
	d.Images[0].Platforms[0].Grid = []int{1, 0, 1, 0}
	html := written(t, d)
	var branches []string
	for _, m := range regexp.MustCompile(`<th role="columnheader"[^>]*>(R\d+)`).FindAllStringSubmatch(html, -1) {
		branches = append(branches, m[1])
	}
	if got, want := strings.Join(branches, " "), "R580 R535 R570 R470"; got != want {
		t.Errorf("columns %s, want %s", got, want)
	}
	if want := `<td role="cell"><i class="py">predicted to run</i><td role="cell" class="e"><i class="py">predicted to run</i>` +
		`<td role="cell" colspan="2" class="e"><i class="pn">predicted to fail</i>`; !strings.Contains(html, want) {
		t.Errorf("want the cells %s", want)
	}
	if text := details(t, html); !strings.Contains(text, `"grids":[[0,0,1,1]]`) {
		t.Error("what is unpacked has another order than the columns")
	}
	if d.Drivers[0].Branch != "470" || d.Images[0].Platforms[0].Grid[0] != 1 {
		t.Error("the document was changed")
	}
}
