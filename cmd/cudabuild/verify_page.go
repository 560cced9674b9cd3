// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/verify"
)

// maxShown bounds the findings of one rule in one layer on the page; --json has all.
const maxShown = 20

// verifyPage prints for each image the verdict first, then the findings by layer,
// then what to do about them.
func verifyPage(w io.Writer, reports []verify.Report) error {
	var page bytes.Buffer
	for i, r := range reports {
		if i > 0 {
			page.WriteByte('\n')
		}
		onePage(&page, r)
	}
	if len(reports) > 1 {
		page.WriteString(totals(reports))
	}
	_, err := w.Write(page.Bytes())
	return err
}

func onePage(w *bytes.Buffer, r verify.Report) {
	fmt.Fprintf(w, "%s  %s\n", strings.ToUpper(string(r.Verdict)), oneLine(r.Ref))
	if r.Error != "" {
		fmt.Fprintf(w, "  could not be read: %s\n", why(r.Ref, r.Error))
		return
	}
	fmt.Fprintf(w, "  %s, %s\n  %s in %s, %s read, %s from the cache, %.1f s\n", r.Digest, oneLine(r.Platform), bySeverity(r.Findings),
		counted(r.Stats.Layers, "layer"), megabytes(r.Stats.BytesRead), megabytes(r.Stats.BytesCached), r.Stats.Seconds)
	layer := -1
	shown := map[string]int{}
	for _, f := range r.Findings {
		if f.Layer != nil && f.Layer.Index != layer {
			layer, shown = f.Layer.Index, map[string]int{}
			layerHead(w, *f.Layer)
		}
		if shown[f.Rule]++; shown[f.Rule] <= maxShown {
			finding(w, f)
		} else if shown[f.Rule] == maxShown+1 {
			fmt.Fprintf(w, "    ...   more of %s: see --json\n", f.Rule)
		}
	}
	ownLibcuda(w, r.Libcuda)
	portability(w, r.Portability)
	advice(w, r)
}

// ownLibcuda says that programs get a libcuda of the image. What follows on portability
// is about the host's.
func ownLibcuda(w *bytes.Buffer, l verify.Libcuda) {
	if l.Winner != "" && l.Winner != verify.HostLibcuda {
		fmt.Fprintf(w, "\n  libcuda      of the image, not the host's: %s\n    %s\n", oneLine(l.Winner), foreign(l.Why))
	}
}

func layerHead(w *bytes.Buffer, l verify.Layer) {
	fmt.Fprintf(w, "\n  layer %d  %s\n", l.Index, l.Digest)
	if l.CreatedBy != "" {
		fmt.Fprintf(w, "  made by  %s\n", oneLine(l.CreatedBy))
	}
}

// bySeverity says how many findings there are of each severity.
func bySeverity(findings []verify.Finding) string {
	n := map[verify.Severity]int{}
	for _, f := range findings {
		n[f.Severity]++
	}
	var parts []string
	for _, s := range []verify.Severity{verify.SeverityFail, verify.SeverityWarn, verify.SeverityInfo} {
		if n[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[s], s))
		}
	}
	if len(parts) == 0 {
		return "nothing found"
	}
	return strings.Join(parts, ", ")
}

// totals sums several images up. Layers that they share were read once.
func totals(reports []verify.Report) string {
	n := map[verify.Verdict]int{}
	var read, cached int64
	for _, r := range reports {
		n[r.Verdict]++
		read, cached = read+r.Stats.BytesRead, cached+r.Stats.BytesCached
	}
	var parts []string
	for _, v := range []verify.Verdict{verify.Fail, verify.Unknown, verify.Warn, verify.Pass} {
		if n[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[v], v))
		}
	}
	return fmt.Sprintf("\n%d images: %s; %s read, %s from the cache or shared\n", len(reports), strings.Join(parts, ", "), megabytes(read), megabytes(cached))
}

func finding(w *bytes.Buffer, f verify.Finding) {
	where := oneLine(f.Path)
	switch {
	case f.Layer == nil:
		where = "(the image)"
	case where == "":
		where = "(the whole layer)"
	}
	fmt.Fprintf(w, "    %-4s  %s\n          %s: %s", f.Severity, where, f.Rule, oneLine(f.Detail))
	if f.DeletedIn != nil {
		fmt.Fprintf(w, "; hidden by layer %d, shipped all the same", *f.DeletedIn)
	}
	if e := f.Exception; e != nil {
		fmt.Fprintf(w, "; excepted until %s by %s: %s", e.Expires, oneLine(e.Owner), oneLine(e.Reason))
	}
	w.WriteByte('\n')
}

// advice prints reason and fix once for each rule that has findings.
func advice(w *bytes.Buffer, r verify.Report) {
	found := map[string]bool{}
	for _, f := range r.Findings {
		found[f.Rule] = true
	}
	for _, rule := range verify.Rules() {
		if found[rule.ID] {
			fmt.Fprintf(w, "\n  %s: %s\n    to fix: %s\n", rule.ID, rule.Reason, rule.Fix)
		}
	}
}

// why is the cause of an error about ref, which the page names already.
func why(ref, problem string) string { return foreign(strings.TrimPrefix(problem, ref+": ")) }

// oneLine makes foreign text harmless for a terminal. Quotation marks are.
func oneLine(s string) string {
	if s = line(s); len(s) > 200 {
		s = s[:197] + "..."
	}
	return s
}

// line is text with its line ends and control characters written out.
func line(s string) string {
	if quoted := strconv.Quote(s); len(quoted) != len(s)+2 {
		s = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	}
	return s
}
