// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// fault is one thing that speaks against an image. Images with one why stand in one item of what is to do, with the details of
// the first of them.
type fault struct {
	state             State
	why, hint, detail string
}

func (f fault) says() string { return f.why + inBrackets(f.detail) }

// worst is the first of the worst faults, a Good one if there is none.
func worst(faults []fault) fault {
	w := fault{state: Good}
	for _, f := range faults {
		if f.state.Worse(w.state) {
			w = f
		}
	}
	return w
}

func (m *maker) image(at int, c record.Cell) Image {
	img := Image{
		ID: c.ID, Status: string(c.Status), Digest: c.Digest, Tags: orEmpty(slices.Clone(c.Tags)), SizeBytes: c.SizeBytes,
		Ends: m.in.Ends[c.ID], Platforms: []Platform{}, Rows: []Row{}, Before: m.before(c.ID),
	}
	img.OS, img.CUDA, img.Kind, img.Sample = parts(c)
	img.Ended = img.Ends.Past(m.in.Today)
	for _, s := range m.rows[at] {
		img.Rows = append(img.Rows, s.row)
	}
	for i, r := range c.Images {
		img.Verdict = worseOf(img.Verdict, m.verdictOf(r))
		img.Platforms = append(img.Platforms, m.platform(at, i, c, r))
	}
	w := worst(m.faults(at, c))
	img.State, img.Why, img.Hint = w.state, w.says(), sentence(w.hint)
	return img
}

// parts are the words of a cell's name. Of a cell that was never built nothing else is known.
func parts(c record.Cell) (system, cuda, kind string, sample bool) {
	cuda, rest, _ := strings.Cut(c.ID, "-")
	kind = rest
	if i := strings.LastIndex(rest, "-"); i >= 0 {
		kind, system = rest[:i], rest[i+1:]
	}
	for _, made := range c.Made {
		return cmp.Or(made.OS, system), cmp.Or(made.CUDA, cuda), cmp.Or(made.Flavor, made.Sample, kind), made.Sample != ""
	}
	flavor := slices.ContainsFunc([]string{"base", "runtime", "devel"}, func(f string) bool { return kind == f || strings.HasSuffix(kind, "-"+f) })
	return system, cuda, kind, !flavor
}

func (m *maker) before(id string) *Before {
	if m.in.Before == nil {
		return nil
	}
	i := slices.IndexFunc(m.in.Before.Cells, func(c record.Cell) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	c := m.in.Before.Cells[i]
	earlier := maker{}
	return &Before{Digest: c.Digest, SizeBytes: c.SizeBytes, State: worst(earlier.built(c)).state}
}

// faults are what speaks against an image, by what the run did, what GPUs showed, and what is attached to it.
func (m *maker) faults(at int, c record.Cell) []fault {
	return slices.Concat(m.built(c), m.shown(at), m.attached(c))
}

// built is what the record itself says.
func (m *maker) built(c record.Cell) (all []fault) {
	not := func(state State, format string, args ...any) {
		all = append(all, fault{state: state, why: fmt.Sprintf(format, args...), hint: c.Hint})
	}
	switch c.Status {
	case record.Passed:
	case record.Failed:
		not(Bad, "failed at %s: %s", cmp.Or(c.Stage, "a stage that is not named"), cmp.Or(c.Reason, "the record does not say why"))
	case record.Skipped:
		not(Skipped, "was skipped: %s", cmp.Or(c.Reason, "the record does not say why"))
	case record.Cancelled:
		not(Cancelled, "was cancelled: %s", cmp.Or(c.Reason, "the run ended first"))
	default:
		not(NotKnown, "has a status that is not known: %q", c.Status)
	}
	if m.in.Run != nil && !m.once(c.ID) {
		not(NotKnown, "stands twice in the record")
	}
	if c.Status != record.Passed && len(c.Images) == 0 {
		return all
	}
	switch {
	case c.Digest == "":
		not(NotKnown, "has no digest in the record: nobody can tell which image it is")
	case len(c.Images) == 0:
		not(NotKnown, "was not verified")
	case len(c.Images) == 1 && c.Images[0].Digest != c.Digest:
		not(NotKnown, "was not verified: the report of the verifier is on another image")
	}
	if c.Status == record.Passed && len(c.Tags) == 0 {
		not(NotKnown, "stands under no tag")
	}
	for _, r := range c.Images {
		on := ""
		if len(c.Images) > 1 {
			on = " on " + r.Platform
		}
		switch m.verdictOf(r) {
		case string(verify.Pass):
		case string(verify.Warn):
			not(Warned, "has warnings of the verifier%s: %s", on, m.firstFinding(r, verify.SeverityWarn))
		case string(verify.Fail):
			not(Bad, "failed verification%s: %s", on, m.firstFinding(r, verify.SeverityFail))
		default:
			not(NotKnown, "could not be verified%s: %s", on, cmp.Or(r.Error, m.in.Reports[r.Digest].Error, m.firstFinding(r, "")))
		}
		if r.Digest == "" {
			not(NotKnown, "has no digest%s in the record: nobody can tell which image was verified", on)
		}
	}
	return all
}

// once reports whether no two cells of the record have an ID.
func (m *maker) once(id string) bool {
	if m.ids == nil {
		m.ids = map[string]int{}
		for _, c := range m.in.Run.Cells {
			m.ids[c.ID]++
		}
	}
	return m.ids[id] < 2
}

// firstFinding says what was found first, of that severity if there is one.
func (m *maker) firstFinding(r verify.Report, severity verify.Severity) string {
	for _, f := range slices.Concat(r.Findings, m.report(r).Findings) {
		if severity == "" || f.Severity == severity {
			return strings.TrimPrefix(f.Path+": ", ": ") + cmp.Or(f.Detail, f.Rule)
		}
	}
	return "the record does not say why"
}

// verdictOf is the worst that a report, or a newer one on the same image, says: its verdict, or that of its findings. It is
// "unknown" of a platform without one.
func (m *maker) verdictOf(r verify.Report) string {
	verdict := judged(r)
	if fresh, known := m.in.Reports[r.Digest]; known && r.Digest != "" {
		verdict = worseOf(verdict, judged(fresh))
	}
	return verdict
}

func judged(r verify.Report) string {
	verdict := string(r.Verdict)
	if r.Error != "" || rankOf(verdict) == 0 {
		verdict = string(verify.Unknown)
	}
	for _, f := range r.Findings {
		switch f.Severity {
		case verify.SeverityFail:
			verdict = worseOf(verdict, string(verify.Fail))
		case verify.SeverityWarn:
			verdict = worseOf(verdict, string(verify.Warn))
		case verify.SeverityInfo:
		default: // of a newer cudabuild: nobody here knows how grave it is
			verdict = worseOf(verdict, string(verify.Unknown))
		}
	}
	return verdict
}

// rankOf orders verdicts, the worst last; 0 is none.
func rankOf(verdict string) int {
	return slices.Index([]string{"pass", "warn", "unknown", "fail"}, verdict) + 1
}

func worseOf(a, b string) string {
	if rankOf(b) > rankOf(a) {
		return b
	}
	return a
}

// shown is what GPUs showed of it that nobody had predicted.
func (m *maker) shown(at int) (all []fault) {
	for _, s := range m.rows[at] {
		f := fault{state: Warned}
		switch {
		case s.against():
			f.state, f.why = Bad, "failed on a GPU: "+s.says()
			f.hint = "Run it there again with 'cudabuild gpu'. If it fails again, the image does not run there, or the rule that predicted it is wrong."
		case !s.counts() || !s.disagrees && !s.otherwise:
			continue
		case s.fails:
			f.why = "failed on a GPU as its row had predicted, and is predicted otherwise today: " + s.says()
			f.hint = "Run it there again with 'cudabuild gpu', which goes by today's rules."
		case s.disagrees:
			f.why = "passed on a GPU, and was predicted otherwise: " + s.says()
			f.hint = "The rule that predicted it is too strict, or the row is of another host than it says."
		default:
			f.why = "passed on a GPU as its row had predicted, and is predicted otherwise today: " + s.says()
			f.hint = "The rules of today are too strict, or the row is of another host than it says."
		}
		f.detail = m.when(at, s)
		all = append(all, f)
	}
	return all
}

// when is the day of a row that counts, and of a failure whether the newest row of its place has passed.
func (m *maker) when(at int, s seen) string {
	day := s.row.Started.Format(time.DateOnly)
	newest := slices.IndexFunc(m.rows[at], func(other seen) bool { return other.counts() && other.place() == s.place() })
	if s.fails && !m.rows[at][newest].fails {
		day += ", and it has passed there since"
	}
	return day
}

// says is one row in a line.
func (s seen) says() string {
	line := fmt.Sprintf("%s on %s with driver %s", cmp.Or(s.row.Test, "a test"), cmp.Or(s.row.GPU, "a GPU"), s.row.Driver)
	if s.Row.Result != gpu.Passed && s.Row.Result != gpu.Failed {
		line += " was " + s.row.Result
	}
	if s.row.Reason != "" {
		line += " (" + s.row.Reason + ")"
	}
	if s.Row.Prediction.Result == "" {
		return line + ", of which nothing was predicted"
	}
	return line + ", predicted: " + string(s.Row.Prediction.Result)
}
