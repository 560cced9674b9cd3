// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/publish"
)

// pushDocument is what push --json prints.
type pushDocument struct {
	Version int             `json:"version"` // 1
	Run     string          `json:"run"`
	To      string          `json:"to"`
	Plan    *publish.Plan   `json:"plan"`   // null if there was none
	Phases  []publish.Phase `json:"phases"` // those that began; never null
	Left    []string        `json:"left"`   // staging tags that the registry did not remove; never null
	// Evidence is what became of the evidence.
	Evidence publish.Outcome `json:"evidence"`
	Error    string          `json:"error"` // why not all was done, "" if it was
}

func (f *pushFlags) print(cmd *cobra.Command, p *publish.Publisher, result *publish.Result, failure error) error {
	if f.asJSON {
		doc := pushDocument{Version: 1, Run: p.ID, To: p.To, Plan: result.Plan, Phases: result.Phases, Left: result.Left, Evidence: result.Evidence}
		if failure != nil {
			doc.Error = failure.Error()
		}
		return plain.JSON(cmd.OutOrStdout(), doc)
	}
	if result.Plan == nil || failure != nil && !finished(result) {
		return nil
	}
	if err := planPage(cmd.OutOrStdout(), result.Plan, "uploaded"); err != nil {
		return err
	}
	if o := result.Evidence; len(o.Without) > 0 {
		fmt.Fprintf(plain.To(cmd.ErrOrStderr()), "cudabuild: warning: %s without evidence, which the registry does not take\n", counted(len(o.Without), "image"))
	}
	if p.StageOnly {
		fmt.Fprintf(cmd.OutOrStdout(), "all is staged, and no tag has moved: '%s' moves them\n", p.CommandTo("--promote"))
	}
	if len(result.Left) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "cudabuild: warning: the registry removes no tags: %s, %d in all, stay there\n", result.Left[0], len(result.Left))
	}
	return nil
}

// finished reports whether all tags have moved, whatever went wrong behind that.
func finished(result *publish.Result) bool {
	return slices.ContainsFunc(result.Phases, func(p publish.Phase) bool { return p.Name == publish.Promote && p.Reason == "" })
}

// planPage prints what becomes, or became, of every tag.
func planPage(w io.Writer, plan *publish.Plan, uploads string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CELL\tDIGEST\tTAGS")
	for _, c := range plan.Cells {
		var tags []string
		for _, t := range c.Tags {
			tags = append(tags, tagWords(t))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.ID, shortDigest(c.Digest), strings.Join(tags, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range plan.Cells {
		for _, t := range c.Tags {
			if t.Move == publish.Refused {
				fmt.Fprintf(w, "%s stays: %s\n", t.Name, t.Why)
			}
		}
		for _, g := range c.Gates {
			if g.State != publish.Met {
				fmt.Fprintf(w, "%s: %s %s %s: %s\n", c.ID, g.Kind, g.Want, g.State, g.Why)
			}
		}
	}
	if plan.Compression == matrix.Zstd {
		fmt.Fprintln(w, "layers are compressed with zstd: docker 23, containerd 1.5 and podman read that; for older engines say compression: gzip in matrix.yaml")
	}
	if err := evidenceLines(w, plan); err != nil {
		return err
	}
	t := plan.Totals
	counts := fmt.Sprintf("%d new, %d moved, %d same", t.New, t.Moved, t.Same)
	if t.Refused > 0 {
		counts += fmt.Sprintf(", %d refused", t.Refused)
	}
	_, err := fmt.Fprintf(w, "%s, run %s: %s: %s; %s %s of %s\n", plan.To, plan.Run, counted(t.New+t.Moved+t.Same+t.Refused, "tag"), counts,
		uploads, megabytes(t.UploadBytes), megabytes(t.Bytes))
	return err
}

// evidenceLines says what becomes, or became, of the evidence.
func evidenceLines(w io.Writer, plan *publish.Plan) error {
	for _, c := range plan.Cells {
		for _, e := range c.Evidence {
			if e.State == publish.Missing {
				fmt.Fprintf(w, "%s: no %s of %s is there: it was staged without\n", c.ID, e.Kind, shortDigest(e.Subject))
			}
		}
	}
	if n := len(plan.Evidence.Without); n > 0 {
		fmt.Fprintf(w, "evidence: %s without: %s\n", counted(n, "image"), plan.Evidence.Why)
	}
	t := plan.Totals
	all := t.EvidenceNew + t.EvidenceThere
	if plan.Evidence.State == publish.Off || all == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "evidence: %s: %d new, %d there already\n", counted(all, "document"), t.EvidenceNew, t.EvidenceThere)
	return err
}

func tagWords(t publish.Tag) string {
	if t.Move == publish.Moved {
		return fmt.Sprintf("%s (moved from %s)", t.Name, shortDigest(*t.From))
	}
	return fmt.Sprintf("%s (%s)", t.Name, t.Move)
}

// show is where progress goes, nil if it is not wanted.
func (f *pushFlags) show(cmd *cobra.Command) publish.Show {
	if f.silent {
		return nil
	}
	return progressOn(cmd.ErrOrStderr())
}

// progressOn shows phases: a line that is written again and again on a terminal, else
// a line now and then.
func progressOn(w io.Writer) publish.Show {
	file, _ := w.(*os.File)
	p := &progress{w: w, redraws: file != nil && container.IsTerminal(file)}
	return p.show
}

// progress shows the phases of a push.
type progress struct {
	w       io.Writer
	redraws bool
	phase   string
	last    time.Time // when it was shown, or began
}

// show is a publish.Show.
func (p *progress) show(phase publish.Phase, ended bool) {
	pause := 10 * time.Second
	if p.redraws {
		pause = 200 * time.Millisecond
	}
	if p.phase != phase.Name {
		p.phase, p.last = phase.Name, time.Now()
	}
	if !ended && time.Since(p.last) < pause {
		return
	}
	p.last = time.Now()
	begin, end := "", "\n"
	if p.redraws {
		begin = "\r\x1b[K"
		if !ended {
			end = ""
		}
	}
	fmt.Fprint(p.w, begin+phaseWords(phase, ended)+end)
}

// phaseWords is a phase in one line.
func phaseWords(p publish.Phase, ended bool) string {
	text := fmt.Sprintf("cudabuild: %-9s  %d of %d", p.Name, p.Done, p.Of)
	if p.OfBytes > 0 {
		text += fmt.Sprintf(", %s of %s", megabytes(p.Bytes), megabytes(p.OfBytes))
	}
	if left := p.Left(); left > 0 && !ended {
		text += fmt.Sprintf(", %v left", left)
	}
	if ended {
		text += fmt.Sprintf(", %.1f s", p.Seconds)
	}
	if p.Reason != "" {
		text += ": stopped"
	}
	return text
}
