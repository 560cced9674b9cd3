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
	_, err := w.Write(page.Bytes())
	return err
}

func onePage(w *bytes.Buffer, r verify.Report) {
	fmt.Fprintf(w, "%s  %s\n", strings.ToUpper(string(r.Verdict)), r.Ref)
	if r.Error != "" { // said in full on stderr
		fmt.Fprintln(w, "  could not be read")
		return
	}
	fmt.Fprintf(w, "  %s, %s, %d layers, %s read, %s known already, %.1f s\n", r.Digest, r.Platform,
		r.Stats.Layers, megabytes(r.Stats.BytesRead), megabytes(r.Stats.BytesCached), r.Stats.Seconds)
	var layer *verify.Layer
	shown := map[string]int{}
	for _, f := range r.Findings {
		if f.Layer != nil && (layer == nil || f.Layer.Index != layer.Index) {
			layer, shown = f.Layer, map[string]int{}
			fmt.Fprintf(w, "\n  layer %d  %s\n", layer.Index, layer.Digest)
			if layer.CreatedBy != "" {
				fmt.Fprintf(w, "  made by  %s\n", oneLine(layer.CreatedBy))
			}
		}
		if shown[f.Rule]++; shown[f.Rule] <= maxShown {
			finding(w, f)
		} else if shown[f.Rule] == maxShown+1 {
			fmt.Fprintf(w, "    ...   more of %s: see --json\n", f.Rule)
		}
	}
	portability(w, r.Portability)
	advice(w, r)
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

// oneLine makes foreign text harmless for a terminal.
func oneLine(s string) string {
	if quoted := strconv.Quote(s); len(quoted) != len(s)+2 {
		s = strings.Trim(quoted, `"`)
	}
	if len(s) > 200 {
		s = s[:197] + "..."
	}
	return s
}
