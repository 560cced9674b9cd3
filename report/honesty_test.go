// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/report/page"
	"github.com/cudabuild/cudabuild/report/summary"
	"github.com/cudabuild/cudabuild/verify"
)

// subject is the image of the mutations: it stands second, and a GPU has shown that it runs.
const subject = "12.4-deviceQuery-debian13"

// fine is what a report without any fault is made of.
func fine() report.Input {
	in := reporttest.Run()
	in.Sources, in.Before, in.Changes = in.Sources[:2], nil, nil
	in.Run.Cells = slices.DeleteFunc(in.Run.Cells, func(c record.Cell) bool {
		return !slices.Contains([]string{"12.4-base-debian13", "12.4-runtime-debian13", subject}, c.ID)
	})
	slices.SortFunc(in.Run.Cells, func(a, b record.Cell) int { return strings.Compare(a.ID, b.ID) })
	host := reporttest.Host("gpu1", "580.65.06", "NVIDIA H200", "9.0")
	row := reporttest.Row(host, "example-gpu1", subject, "deviceQuery", "direct", reporttest.Today.Add(-time.Hour))
	in.Ledgers = []report.Ledger{{Name: "example-ledger", Rows: []gpu.Observation{row}}}
	return in
}

// printed is a document with what is made of it.
type printed struct {
	*report.Document

	markdown, badge string
	// page is what it shows without script, details what it unpacks.
	page, details string
}

func write(t testing.TB, in report.Input) printed {
	t.Helper()
	p := printed{Document: report.New(in)}
	var md, svg, written bytes.Buffer
	if err := summary.Markdown(&md, p.Document); err != nil {
		t.Fatal(err)
	}
	if err := summary.Badge(&svg, p.Document); err != nil {
		t.Fatal(err)
	}
	if err := page.Write(&written, p.Document); err != nil {
		t.Fatal(err)
	}
	p.markdown, p.badge = md.String(), svg.String()
	p.page, _, _ = strings.Cut(written.String(), `<script type="application/octet-stream"`)
	var err error
	if p.details, err = reporttest.Unpack(written.String()); err != nil {
		t.Fatal(err)
	}
	return p
}

// marks are the symbols of an image: in the page's verdict, its matrix, at the head of its line of the grid, in that line, and
// on top of its details.
func (p printed) marks(t testing.TB, id string) (verdict, matrix, row string, cells []string, details string) {
	t.Helper()
	first := func(text, pattern string) string {
		found := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("the page has no %s", pattern)
		}
		return found[1]
	}
	id = regexp.QuoteMeta(id)
	verdict = first(p.page, `<section id="verdict" class="([^"]*)"`)
	matrix = first(p.page, `<a class="state s-(\w+)[^"]*" href="#image=`+id+`" title`)
	row = first(p.page, `data-id="`+id+`" data-state="([^"]*)"`)
	line := first(p.page, `data-id="`+id+`"(.*)`)
	for _, cell := range regexp.MustCompile(`<i class="(\w+)">`).FindAllStringSubmatch(line, -1) {
		cells = append(cells, cell[1])
	}
	at := slices.IndexFunc(p.Images, func(i report.Image) bool { return regexp.QuoteMeta(i.ID) == id })
	own := regexp.MustCompile(`<p class="sentence"><span class="state s-(\w+)">`).FindAllStringSubmatch(p.details, -1)
	if len(own) != len(p.Images) {
		t.Fatalf("%d images are unpacked, want %d", len(own), len(p.Images))
	}
	return verdict, matrix, row, cells, own[at][1]
}

// shows wants the page to say of an image, in all places, that it is in a state.
func (p printed) shows(t testing.TB, id string, state report.State) {
	t.Helper()
	verdict, matrix, row, cells, details := p.marks(t, id)
	if got := []string{matrix, row, details}; !slices.Equal(got, []string{string(state), string(state), string(state)}) {
		t.Errorf("the page shows %s as %q, want %s", id, got, state)
	}
	if verdict != string(p.Verdict.State) || !strings.Contains(p.page, html.EscapeString(p.Verdict.Sentence)) {
		t.Errorf("the page's verdict is %s, want %+v", verdict, p.Verdict)
	}
	n, shown := p.answers(id), strings.Join(cells, " ")
	if (n["disagrees"] > 0) != strings.Contains(shown, "dd") || n["seen"] == 0 && strings.Contains(shown, "s") {
		t.Errorf("the grid shows %q, want symbols of %v", shown, n)
	}
}

func (p printed) image(id string) report.Image {
	return p.Images[slices.IndexFunc(p.Images, func(i report.Image) bool { return i.ID == id })]
}

// line is what the table of images says of one.
func (p printed) line(id string) string {
	for line := range strings.Lines(p.markdown) {
		if strings.HasPrefix(line, "| "+id+" |") {
			return line
		}
	}
	return ""
}

// answers counts what is known of an image, by how and whether it runs.
func (p printed) answers(id string) map[string]int {
	n := map[string]int{}
	for _, platform := range p.image(id).Platforms {
		for _, at := range platform.Grid {
			if at >= 0 {
				a := p.Answers[at]
				n[strings.TrimSpace(string(a.How)+" "+a.Runs)]++
				n[string(a.How)]++
			}
		}
	}
	return n
}

func TestFine(t *testing.T) {
	t.Parallel()
	p := write(t, fine())
	p.shows(t, subject, report.Good)
	if p.Verdict.State != report.Good || p.Verdict.Sentence != "All 3 images are built, verified and tagged, and 1 was seen to run on GPUs." || !strings.Contains(p.badge, "✓ good, 3 of 3") {
		t.Errorf("verdict %+v, badge\n%s\nwant all good", p.Verdict, p.badge)
	}
	if n := p.answers(subject); n["seen yes"] != 1 || !strings.Contains(p.line(subject), "1 passed") {
		t.Errorf("answers %v, line %q, want one that was seen to run", n, p.line(subject))
	}
}

// mutations are of the record, of reports and of evidence: what each makes of the image, and the words that must say so.
var mutations = map[string]struct {
	change func(in *report.Input, c *record.Cell)
	state  report.State
	says   string
}{
	"status failed": {func(_ *report.Input, c *record.Cell) {
		c.Status, c.Stage, c.Reason = record.Failed, "build", "no space"
	}, report.Bad, "failed at build: no space"},
	"status failed, without a reason": {func(_ *report.Input, c *record.Cell) { c.Status = record.Failed }, report.Bad, "does not say why"},
	"status skipped":                  {func(_ *report.Input, c *record.Cell) { c.Status = record.Skipped }, report.Skipped, "was skipped"},
	"status cancelled":                {func(_ *report.Input, c *record.Cell) { c.Status = record.Cancelled }, report.Cancelled, "was cancelled"},
	"no status":                       {func(_ *report.Input, c *record.Cell) { c.Status = "" }, report.NotKnown, "status that is not known"},
	"another status":                  {func(_ *report.Input, c *record.Cell) { c.Status = "PASSED" }, report.NotKnown, "status that is not known"},
	"no digest":                       {func(_ *report.Input, c *record.Cell) { c.Digest = "" }, report.NotKnown, "no digest"},
	"digest of another image":         {func(_ *report.Input, c *record.Cell) { c.Digest = reporttest.Digest("x") }, report.NotKnown, "on another image"},
	"no images":                       {func(_ *report.Input, c *record.Cell) { c.Images = nil }, report.NotKnown, "was not verified"},
	"no tags":                         {func(_ *report.Input, c *record.Cell) { c.Tags = nil }, report.NotKnown, "under no tag"},
	"verdict fail":                    {func(_ *report.Input, c *record.Cell) { c.Images[0].Verdict = verify.Fail }, report.Bad, "failed verification"},
	"verdict warn":                    {func(_ *report.Input, c *record.Cell) { c.Images[0].Verdict = verify.Warn }, report.Warned, "warnings of the verifier"},
	"verdict unknown":                 {func(_ *report.Input, c *record.Cell) { c.Images[0].Verdict = verify.Unknown }, report.NotKnown, "could not be verified"},
	"no verdict":                      {func(_ *report.Input, c *record.Cell) { c.Images[0].Verdict = "" }, report.NotKnown, "could not be verified"},
	"another verdict":                 {func(_ *report.Input, c *record.Cell) { c.Images[0].Verdict = "PASS" }, report.NotKnown, "could not be verified"},
	"error beside a pass":             {func(_ *report.Input, c *record.Cell) { c.Images[0].Error = "unexpected EOF" }, report.NotKnown, "unexpected EOF"},
	"failing finding beside a pass": {func(_ *report.Input, c *record.Cell) {
		c.Images[0].Findings = []verify.Finding{{Rule: "driver-library", Severity: verify.SeverityFail, Path: "usr/lib/libcuda.so.1"}}
	}, report.Bad, "usr/lib/libcuda.so.1"},
	"warning beside a pass": {func(_ *report.Input, c *record.Cell) {
		c.Images[0].Findings = []verify.Finding{{Rule: "search-path", Severity: verify.SeverityWarn, Path: "etc/ld.so.conf"}}
	}, report.Warned, "etc/ld.so.conf"},
	"a finding of a severity that nobody knows": {func(_ *report.Input, c *record.Cell) {
		c.Images[0].Findings = []verify.Finding{{Rule: "driver-library", Severity: "grave", Path: "usr/lib/libcuda.so.1"}}
	}, report.NotKnown, "usr/lib/libcuda.so.1"},
	"no digest of a platform": {func(_ *report.Input, c *record.Cell) {
		c.Images = append(c.Images, c.Images[0])
		c.Images[1].Digest, c.Images[1].Platform = "", "linux/arm64"
	}, report.NotKnown, "has no digest on linux/arm64"},
	"one platform not verified": {func(_ *report.Input, c *record.Cell) {
		c.Images = append(c.Images, verify.Report{Digest: reporttest.Digest("arm"), Platform: "linux/arm64"})
	}, report.NotKnown, "could not be verified on linux/arm64"},
	"read again and found bad": {func(in *report.Input, c *record.Cell) {
		r := in.Reports[c.Digest]
		r.Verdict = verify.Fail
		in.Reports[c.Digest] = r
	}, report.Bad, "failed verification"},
	"read again and not understood": {func(in *report.Input, c *record.Cell) {
		r := in.Reports[c.Digest]
		r.Verdict = verify.Unknown
		in.Reports[c.Digest] = r
	}, report.NotKnown, "could not be verified"},
	"no longer to be read": {func(in *report.Input, c *record.Cell) {
		in.Reports[c.Digest] = verify.Report{Verdict: verify.Unknown, Error: "blob is damaged"}
	}, report.NotKnown, "blob is damaged"},
	"evidence stale":    {evidenced(func(r *attest.Report) { spoil(r, attest.Stale) }), report.Warned, "its SBOM is stale"},
	"evidence unsigned": {evidenced(func(r *attest.Report) { spoil(r, attest.Unsigned) }), report.Warned, "its SBOM is unsigned"},
	"evidence damaged":  {evidenced(func(r *attest.Report) { spoil(r, attest.Damaged) }), report.Warned, "its SBOM is damaged"},
	"evidence foreign":  {evidenced(func(r *attest.Report) { spoil(r, attest.Strange) }), report.Warned, "its SBOM is foreign"},
	"evidence failed":   {evidenced(func(r *attest.Report) { spoil(r, attest.Failed) }), report.Bad, "speaks against it"},
	"evidence incomplete": {evidenced(func(r *attest.Report) {
		r.State, r.Images[0].State, r.Images[0].Documents = attest.Incomplete, attest.Incomplete, nil
	}), report.Warned, "evidence that is incomplete"},
	"evidence of another image":                   {evidenced(func(r *attest.Report) { r.Digest = reporttest.Digest("x") }), report.Warned, "evidence of another image"},
	"evidence unread":                             {evidenced(func(r *attest.Report) { r.Error = "connection refused" }), report.Warned, "connection refused"},
	"evidence hidden in an index":                 {evidenced(func(r *attest.Report) { r.State = attest.Incomplete }), report.Warned, "evidence that is incomplete as a whole"},
	"evidence without a state":                    {evidenced(func(r *attest.Report) { r.Images[0].State = "" }), report.Warned, "evidence that is not known"},
	"its tag names another image in the registry": {func(in *report.Input, c *record.Cell) { in.Elsewhere = map[string][]string{c.ID: {"latest"}} }, report.Warned, "names another image in the registry (latest)"},
	"its tag is not in the registry":              {func(in *report.Input, c *record.Cell) { in.Absent = map[string][]string{c.ID: {c.ID}} }, report.Warned, "is not in the registry ("},
	"a failure seen by surprise": {rowed(func(r *gpu.Row) {
		r.Result, r.Agrees, r.Reason = gpu.Failed, nil, "out of luck"
	}), report.Bad, "out of luck"},
	"a failure that says it agrees": {rowed(func(r *gpu.Row) { r.Result, r.Reason = gpu.Failed, "out of luck" }), report.Bad, "out of luck"},
	"a failure of which nothing was predicted": {rowed(func(r *gpu.Row) {
		r.Result, r.Agrees, r.Reason, r.Prediction = gpu.Failed, nil, "out of luck", gpu.Prediction{Verdict: "unknown"}
	}), report.Bad, "out of luck"},
	"waived":  {rowed(func(r *gpu.Row) { r.Result, r.Agrees, r.Reason = gpu.Waived, nil, "no device" }), report.Bad, "no device"},
	"refused": {rowed(func(r *gpu.Row) { r.Result, r.Agrees, r.Reason = gpu.Refused, nil, "too old" }), report.Bad, "too old"},
	"a pass that disagrees": {rowed(func(r *gpu.Row) {
		no := false
		r.Agrees = &no
	}), report.Warned, "predicted otherwise"},
	"a failure that its own row predicted and no rule does": {rowed(func(r *gpu.Row) {
		r.Result, r.Prediction, r.Agrees = gpu.Failed, gpu.Prediction{Verdict: "no", Result: gpu.Failed}, nil
	}), report.Warned, "predicted otherwise"},
	"a pass where a failure was predicted": {rowed(func(r *gpu.Row) { r.Prediction.Result = gpu.Failed }), report.Warned, "predicted otherwise"},
	"a newer pass beside a failure": {func(in *report.Input, c *record.Cell) {
		failed := in.Ledgers[0].Rows[0]
		failed.Row.Result, failed.Row.Reason, failed.Row.Started = gpu.Failed, "out of luck", reporttest.Today.Add(-48*time.Hour)
		in.Ledgers[0].Rows = append(in.Ledgers[0].Rows, failed)
	}, report.Bad, "out of luck"},
	"a failure in the record alone": {func(in *report.Input, c *record.Cell) {
		failed := in.Ledgers[0].Rows[0]
		failed.Row.Result, failed.Row.Reason = gpu.Failed, "out of luck"
		c.Rows = append(c.Rows, record.Row{Row: failed.Row, Host: failed.Host})
	}, report.Bad, "out of luck"},
}

func rowed(change func(*gpu.Row)) func(*report.Input, *record.Cell) {
	return func(in *report.Input, _ *record.Cell) { change(&in.Ledgers[0].Rows[0].Row) }
}

// TestMutations: what does not pass never looks like it, in the document, the Markdown and the badge.
func TestMutations(t *testing.T) {
	t.Parallel()
	for name, m := range mutations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := fine()
			m.change(&in, &in.Run.Cells[slices.IndexFunc(in.Run.Cells, func(c record.Cell) bool { return c.ID == subject })])
			p := write(t, in)
			p.shows(t, subject, m.state)
			img := p.image(subject)
			if !strings.Contains(p.details, html.EscapeString(img.Why)) {
				t.Errorf("the page does not say %q of the image", img.Why)
			}
			if img.State != m.state || !strings.Contains(img.Why, m.says) {
				t.Errorf("the image is %s, %q, want %s, %q", img.State, img.Why, m.state, m.says)
			}
			if p.Verdict.State == report.Good || strings.HasPrefix(p.Verdict.Sentence, "All") && m.state != report.Warned || !strings.Contains(p.Verdict.Sentence, subject) ||
				strings.Count(p.Verdict.Sentence, "; ") > 2 {
				t.Errorf("the verdict is %+v, want one that names the image", p.Verdict)
			}
			if !slices.ContainsFunc(p.Todo, func(i report.Item) bool {
				return slices.Contains(i.Images, subject) && i.State == m.state
			}) {
				t.Errorf("nothing to do about it: %+v", p.Todo)
			}
			if m.state == report.Bad && strings.Contains(p.Verdict.Sentence, "seen to run") && len(img.Rows) > 0 && img.Rows[0].Result != "pass" {
				t.Errorf("the verdict counts a failure as seen to run: %q", p.Verdict.Sentence)
			}
			if line := p.line(subject); strings.Contains(line, "good") || !strings.Contains(line, string(m.state)) {
				t.Errorf("the Markdown says %q, want %s", line, m.state)
			}
			if !strings.Contains(p.badge, string(m.state)) || strings.Contains(p.badge, "good") {
				t.Errorf("the badge does not say %s:\n%s", m.state, p.badge)
			}
			if m.state != report.Warned && !strings.Contains(p.badge, "2 of 3") {
				t.Errorf("the badge counts the image:\n%s", p.badge)
			}
			for _, platform := range img.Platforms {
				if platform.Digest == "" || platform.Verdict == "unknown" {
					for _, at := range platform.Grid {
						if at >= 0 && p.Answers[at].How == report.Predicted {
							t.Fatalf("%s is predicted %q, want nothing of an image that nobody has verified", platform.Platform, p.Answers[at].Runs)
						}
					}
				}
			}
		})
	}
}

// TestWorst: a second fault never hides the first, whichever the document meets first.
func TestWorst(t *testing.T) {
	t.Parallel()
	at := func(in *report.Input) *record.Cell {
		return &in.Run.Cells[slices.IndexFunc(in.Run.Cells, func(c record.Cell) bool { return c.ID == subject })]
	}
	for name, m := range mutations {
		for _, other := range []string{"warning beside a pass", "evidence stale", "no tags"} {
			in := fine()
			mutations[other].change(&in, at(&in))
			m.change(&in, at(&in))
			if img := write(t, in).image(subject); m.state.Worse(img.State) {
				t.Errorf("%s and %s: %s, want %s at least", name, other, img.State, m.state)
			}
		}
	}
}

// TestUnreadSource: what could not be read is missing, and that is no good news.
func TestUnreadSource(t *testing.T) {
	t.Parallel()
	in := fine()
	in.Sources[1].Problem = "permission denied"
	p := write(t, in)
	if !strings.Contains(p.page, "permission denied") {
		t.Error("the page does not say what could not be read")
	}
	if p.Verdict.State == report.Good || !strings.Contains(p.Verdict.Sentence, "could not be read") || strings.Contains(p.badge, "good") || !strings.Contains(p.markdown, "permission denied") {
		t.Errorf("verdict %+v, badge\n%s\nwant both to say that a source is missing", p.Verdict, p.badge)
	}
}

// TestUnreadLedger: of a ledger of which nothing could be read nobody knows how many rows it has.
func TestUnreadLedger(t *testing.T) {
	t.Parallel()
	for problem, want := range map[string]string{"": "no rows", "permission denied": ""} {
		in := fine()
		in.Ledgers[0].Rows, in.Sources[1].Problem = nil, problem
		if got := write(t, in).Sources[1].Says; got != want {
			t.Errorf("problem %q: the ledger has %q, want %q", problem, got, want)
		}
	}
}

// TestNothingPredicted: a record without predictions is not one of an image that needs nothing of a driver.
func TestNothingPredicted(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{true, false} {
		in := fine()
		at := slices.IndexFunc(in.Run.Cells, func(c record.Cell) bool { return c.ID == subject })
		r := &in.Run.Cells[at].Images[0]
		r.Portability = verify.Portability{Predictions: []verify.DriverGPU{}}
		if silent {
			r.Portability.Predictions = nil
		}
		delete(in.Reports, r.Digest)
		in.Ledgers = nil
		p := write(t, in)
		if n := p.answers(subject); (n["unknown"] > 0) != silent {
			t.Errorf("silent %v: answers %v", silent, n)
		}
		if got := fmt.Sprint(p.image(subject).Platforms[0].Needs); strings.Contains(got, "needs nothing") == silent {
			t.Errorf("silent %v: it is said to need %s", silent, got)
		}
	}
}

// TestTwice: of two cells of one ID nobody knows which is meant.
func TestTwice(t *testing.T) {
	t.Parallel()
	in := fine()
	in.Run.Cells = append(in.Run.Cells, in.Run.Cells[0])
	p := write(t, in)
	if img := p.Images[0]; img.State != report.NotKnown || !strings.Contains(img.Why, "stands twice") || p.Verdict.State != report.NotKnown {
		t.Errorf("the image is %s, %q, the verdict %+v, want unknown ones", img.State, img.Why, p.Verdict)
	}
}

// TestNoRun: a run without cells is no good news.
func TestNoRun(t *testing.T) {
	t.Parallel()
	p := write(t, report.Input{Run: &record.Run{}})
	if p.Verdict.State != report.NotKnown || strings.Contains(p.badge, "good") {
		t.Errorf("verdict %+v, badge\n%s\nwant unknown", p.Verdict, p.badge)
	}
}
