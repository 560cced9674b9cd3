// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
)

// evidenced changes evidence that is attached to the subject, and was valid.
func evidenced(change func(*attest.Report)) func(*report.Input, *record.Cell) {
	return func(in *report.Input, c *record.Cell) {
		r := in.Evidence[reporttest.Digest("12.4-runtime-debian13 linux/amd64")]
		r.Digest = c.Digest
		r.Images = slices.Clone(r.Images)
		r.Images[0].Digest = c.Digest
		r.Images[0].Documents = slices.Clone(r.Images[0].Documents)
		change(&r)
		in.Evidence[c.Digest] = r
	}
}

// spoil gives a document another state, as attest would judge the image then.
func spoil(r *attest.Report, state attest.State) {
	r.State, r.Images[0].State, r.Images[0].Documents[0].State = attest.Incomplete, attest.Incomplete, state
}

// TestUncheckedSignature: evidence whose signature nobody has checked is not valid. It makes no image worse, is told once, and
// nothing claims that it is signed.
func TestUncheckedSignature(t *testing.T) {
	t.Parallel()
	in := fine()
	delete(in.Evidence, reporttest.Digest("11.8-base-debian12 linux/amd64"))
	at := slices.IndexFunc(in.Run.Cells, func(c record.Cell) bool { return c.ID == subject })
	evidenced(func(r *attest.Report) {})(&in, &in.Run.Cells[at])
	for digest, r := range in.Evidence {
		r.Key, r.Images = "", slices.Clone(r.Images)
		r.Images[0].Documents = slices.Clone(r.Images[0].Documents)
		for i := range r.Images[0].Documents {
			r.Images[0].Documents[i].Verified = false
		}
		in.Evidence[digest] = r
	}
	in.Evidence[in.Run.Cells[at].Digest].Images[0].Documents[0].Signer = ""
	p := write(t, in)
	got := fmt.Sprint(p.image(subject).Platforms[0].Evidence)
	if strings.Contains(got, "valid") || !strings.Contains(got, "unsigned") || !strings.Contains(got, "unchecked") {
		t.Errorf("evidence %s, want unsigned and unchecked ones", got)
	}
	if img := p.image(subject); img.State != report.Good || img.Why != "" || p.Verdict.State != report.Good || strings.Contains(p.Verdict.Sentence, "sign") {
		t.Errorf("the image is %s, %q, the verdict %+v, want good ones that say nothing of signatures", img.State, img.Why, p.Verdict)
	}
	var told []string
	for _, i := range p.Todo {
		if i.Kind == "evidence" {
			told = append(told, i.Text)
		}
	}
	want := "Nobody has checked who signed the evidence of 12.4-deviceQuery-debian13 and 12.4-runtime-debian13; of that of 1 not all is signed."
	if !slices.Equal(told, []string{want}) || !strings.Contains(p.markdown, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// TestSigner: who signed something is told of what the key has signed alone.
func TestSigner(t *testing.T) {
	t.Parallel()
	for _, state := range []attest.State{attest.Unsigned, attest.Stale, attest.Damaged} {
		in := fine()
		at := slices.IndexFunc(in.Run.Cells, func(c record.Cell) bool { return c.ID == subject })
		evidenced(func(r *attest.Report) {
			spoil(r, state)
			r.Images[0].Documents[0].Signer, r.Images[0].Documents[0].Verified = "another", false
		})(&in, &in.Run.Cells[at])
		if e := write(t, in).image(subject).Platforms[0].Evidence[0]; e.State != string(state) || e.Signer != "" {
			t.Errorf("%s evidence is %+v, want no signer", state, e)
		}
	}
}
