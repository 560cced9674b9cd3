// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/report"
)

// TestNamed: an image that a sentence names is a link there, in no other name, and the others stand below.
func TestNamed(t *testing.T) {
	t.Parallel()
	link := func(id string) string { return `<a href="#image=` + id + `">` + id + `</a>` }
	d := one()
	for _, tt := range []struct {
		text   string
		images []string
		want   string
	}{
		{"12.4-base-debian13 failed.", []string{"12.4-base-debian13"}, "<p>" + link("12.4-base-debian13") + " failed.</p></div>"},
		{"a and b.", []string{"b", "a"}, "<p>" + link("a") + " and " + link("b") + ".</p></div>"},
		{"b-1 and c fail", []string{"b", "c", "b-1"}, "<p>" + link("b-1") + " and " + link("c") + ` fail</p><div class="of">` + link("b") + "</div>"},
		{"x22.04, x22. nx22", []string{"x22"}, "<p>x22.04, " + link("x22") + ". nx22</p></div>"},
		{"nothing", []string{""}, `<p>nothing</p><div class="of">` + link("") + "</div>"},
	} {
		d.Todo = []report.Item{{Text: tt.text, Images: tt.images}}
		if html := written(t, d); !strings.Contains(html, tt.want) {
			t.Errorf("%s of %v: want %s", tt.text, tt.images, tt.want)
		}
	}

	d.Todo = make([]report.Item, 19)
	for i := range d.Todo {
		d.Todo[i].State, d.Todo[i].Text = report.Warned, fmt.Sprintf("the item %d.", i+1)
	}
	html := written(t, d)
	at, above, below := strings.Index(html, "<summary>3 more: 3 warned</summary>"), strings.Index(html, "the item 16."), strings.Index(html, "the item 17.")
	if at < above || below < at || above < 0 {
		t.Errorf("the 16 first stand at %d, the others at %d and behind, want %d between them", above, below, at)
	}
}
