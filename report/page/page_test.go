// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/report/page"
	"github.com/cudabuild/cudabuild/support"
)

func written(t *testing.T, d *report.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := page.Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestExample shows what stands on the page without script.
func TestExample(t *testing.T) {
	t.Parallel()
	html, _, _ := strings.Cut(written(t, reporttest.Document()), `<script type="application/octet-stream"`)
	_, main, _ := strings.Cut(html, "<body>")
	golden.Check(t, "testdata/example.html", main)
}

// TestSize: the whole fits a mail.
func TestSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ images, drivers, gpus, most int }{{600, 40, 8, 1_500_000}, {2196, 19, 8, 4_000_000}} {
		if n := len(written(t, reporttest.Big(tt.images, tt.drivers, tt.gpus))); n > tt.most {
			t.Errorf("%d images on %d drivers and %d GPUs: %d bytes, want at most %d", tt.images, tt.drivers, tt.gpus, n, tt.most)
		} else {
			t.Logf("%d images on %d drivers and %d GPUs: %d bytes", tt.images, tt.drivers, tt.gpus, n)
		}
	}
}

const hostile = "</script></style><img src=x onerror=alert(1)>\"'`${1}{{.}}\x1b[31m\x00\u202e"

// fill puts text into every string of a value, and one element into each list.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(2)
	case reflect.Int, reflect.Int64:
		// 0 is an index that is there in all lists.
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	}
}

// details are what a page unpacks, as text.
func details(t *testing.T, html string) string {
	t.Helper()
	all, err := reporttest.Unpack(html)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var loads = regexp.MustCompile(`(?i)\s(?:src|href|action|srcset|poster)="([^"]*)`) // a stranger's quotes are never these

// check wants markup that loads nothing and of which no stranger made a part.
func check(t *testing.T, what, html string) {
	t.Helper()
	if strings.Contains(html, "<img") || strings.Contains(html, "onerror=alert(1)>") {
		t.Errorf("%s: the markup of a stranger stands in it", what)
	}
	if i := strings.IndexAny(html, "\x00\x1b\u202e"); i >= 0 {
		t.Errorf("%s: %q stands in it", what, html[i:i+8])
	}
	for _, m := range loads.FindAllStringSubmatch(html, -1) {
		if !strings.HasPrefix(m[1], "#") && m[1] != "data:," {
			t.Errorf("%s loads %q", what, m[1])
		}
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		if seen[m[1]] {
			t.Errorf("%s: id %q stands twice in it", what, m[1])
		}
		seen[m[1]] = true
	}
}

// TestStrangers puts markup and control characters wherever a name, a path or a reason can be.
func TestStrangers(t *testing.T) {
	t.Parallel()
	var d report.Document
	fill(reflect.ValueOf(&d).Elem(), hostile)
	d.Images[0].State, d.Images[0].Platforms[0].Verdict = report.Bad, "failed"
	html := written(t, &d)
	inside := details(t, html)
	markup := html[:strings.Index(html, `<script type="application/octet-stream"`)]
	check(t, "the page", markup)
	fragments := inside[strings.Index(inside, `<p class="sentence">`):]
	check(t, "an image", fragments)
	for _, want := range []string{"&lt;/script&gt;", `\u001b[31m`} {
		if !strings.Contains(markup, want) || !strings.Contains(fragments, want) {
			t.Errorf("%q is not in the page or not in the image, want what a stranger says as text", want)
		}
	}
	if n := strings.Count(html, "</script>"); n != len(regexp.MustCompile(`<script[ >]`).FindAllString(html, -1)) {
		t.Errorf("%d ends of scripts, want one for each", n)
	}

	var b bytes.Buffer
	var r diff.Result
	fill(reflect.ValueOf(&r).Elem(), hostile)
	r.Images[0].State = diff.Changed
	if err := page.WriteDiff(&b, &r); err != nil {
		t.Fatal(err)
	}
	check(t, "a difference", b.String())
}

// TestPolicy: the script that stands there is the one that the policy lets run, and the only one.
func TestPolicy(t *testing.T) {
	t.Parallel()
	page := written(t, one())
	_, script, _ := strings.Cut(page, "<script>")
	script, _, _ = strings.Cut(script, "</script>")
	sum := sha256.Sum256([]byte(script))
	policy := html.UnescapeString(regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)[1])
	if want := "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; script == "" || !strings.Contains(policy, want) {
		t.Errorf("policy %q, want %q", policy, want)
	}
}

// TestAnswers: each answer has a symbol of its own, and only rows make one that says seen.
func TestAnswers(t *testing.T) {
	t.Parallel()
	words := map[string]string{}
	for _, how := range []report.How{report.Predicted, report.Seen, report.Disagrees, report.Open, ""} {
		for _, runs := range []string{"yes", "limited", "no", "", "new"} {
			d := one(report.Answer{How: how, Runs: runs})
			m := regexp.MustCompile(`<td role="cell"><i class="(\w+)">([^<]*)</i>`).FindStringSubmatch(written(t, d))
			if m == nil {
				t.Fatalf("%s %s: no symbol in the grid", how, runs)
			}
			words[m[1]] = m[2]
			known := runs == "yes" || runs == "limited" || runs == "no"
			if says := strings.HasPrefix(m[2], "seen"); says != (how == report.Disagrees || how == report.Seen && known) {
				t.Errorf("%s %s is %q", how, runs, m[2])
			}
			if how == report.Disagrees && m[1] != "dd" || (how == report.Open || how == "" || !known) && how != report.Disagrees && m[1] != "oo" {
				t.Errorf("%s %s has the symbol %s, %q", how, runs, m[1], m[2])
			}
		}
	}
	if len(words) != 8 {
		t.Errorf("%d symbols: %v, want 8", len(words), words)
	}
}

// one is a report of one image on one driver and a GPU for each answer.
func one(answers ...report.Answer) *report.Document {
	d := &report.Document{Answers: answers, Drivers: []report.Driver{{Branch: "535"}}}
	p := report.Platform{Platform: "linux/amd64", Verdict: "passed"}
	for i := range answers {
		d.GPUs = append(d.GPUs, report.GPU{Arch: fmt.Sprintf("sm_%d0", i+7)})
		p.Grid = append(p.Grid, i)
	}
	d.Images = []report.Image{{ID: "12.4-base-debian13", OS: "debian13", CUDA: "12.4", Kind: "base", State: report.Good, Digest: "sha256:1", Platforms: []report.Platform{p}}}
	return d
}

// TestWorst: of several GPUs and platforms the worst counts, and what is not known is worse than what runs.
func TestWorst(t *testing.T) {
	t.Parallel()
	yes, no := report.Answer{How: report.Predicted, Runs: "yes"}, report.Answer{How: report.Predicted, Runs: "no"}
	seen, open := report.Answer{How: report.Seen, Runs: "yes"}, report.Answer{How: report.Open}
	bad := report.Answer{How: report.Disagrees, Runs: "yes"}
	for _, tt := range []struct {
		answers []report.Answer
		want    string
	}{
		{[]report.Answer{yes, yes}, `<i class="py">predicted to run</i>`},
		{[]report.Answer{seen, yes}, `<i class="py">predicted to run</i><small class="sy">seen sm_70</small>`},
		{[]report.Answer{seen, seen}, `<i class="sy">seen to run</i>`},
		{[]report.Answer{seen, open}, `<i class="oo">not known</i><small>sm_80</small>`},
		{[]report.Answer{yes, no, no}, `<i class="pn">predicted to fail</i><small>sm_90 &#43;1</small>`},
		{[]report.Answer{no, bad}, `<i class="dd">seen otherwise than predicted</i><small>sm_80</small>`},
	} {
		if html := written(t, one(tt.answers...)); !strings.Contains(html, `<td role="cell">`+tt.want) {
			t.Errorf("%v: want %s", tt.answers, tt.want)
		}
	}

	d := one(yes, yes)
	d.Images[0].Platforms = append(d.Images[0].Platforms, report.Platform{Platform: "linux/arm64"})
	if !strings.Contains(written(t, d), `<td role="cell"><i class="oo">`) {
		t.Error("a platform that nobody verified, and the image is not shown as not known")
	}
	for want, p := range map[string]report.Platform{"not known: it was not verified": {}, "it needs nothing of a driver": {Verdict: "passed"}} {
		d.Images[0].Platforms = []report.Platform{p}
		if !strings.Contains(written(t, d), want) {
			t.Errorf("want %q", want)
		}
	}
	d.Images[0].Platforms = nil
	if !strings.Contains(written(t, d), "not known: there is no image") {
		t.Error("no platform, and it does not say that there is no image")
	}
}

// TestEnded: what has ended says so in a word, in the header and in the cell.
func TestEnded(t *testing.T) {
	t.Parallel()
	d := one(report.Answer{How: report.Predicted, Runs: "yes"})
	d.Drivers[0].Ended, d.Images[0].Ended = true, true
	d.Ends = []report.Ending{{End: support.End{What: "driver branch R535"}, Ended: true}}
	html := written(t, d)
	for _, want := range []string{`class="e" title="">R535 <small class="ended">ended</small>`, `<td role="cell" class="e"><i class="py">`, `good <small class="ended">ended</small></a>`, `debian13</a> <small class="ended">ended</small>`, "has ended"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}
