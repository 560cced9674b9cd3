// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/plain"
)

// gpuDocument is what gpu --json prints.
type gpuDocument struct {
	Version     int          `json:"version"` // 1
	Host        gpu.Host     `json:"host"`
	Rows        []gpu.Row    `json:"rows"`
	Regressions []regression `json:"regressions"` // flaky rows too; never null
	Baselines   []baseline   `json:"baselines"`   // of all figures that were compared; never null
	Skipped     []skipped    `json:"skipped"`     // by --skip-known; never null
	LeftOut     []leftOut    `json:"left_out"`    // of --tests; never null
}

// observed is all that a run of gpu showed.
type observed struct {
	host    gpu.Host
	rows    []gpu.Row
	skipped []skipped
	left    []leftOut
	worse   []gpu.Regression
	figures []gpu.Compared // with their baselines; none without --baseline
}

func (o observed) show(w io.Writer, asJSON bool) error {
	host, rows := o.host, o.rows
	if asJSON {
		return plain.JSON(w, gpuDocument{1, host, rows, regressions(o.worse), baselines(o.figures), o.skipped, append([]leftOut{}, o.left...)})
	}
	w = plain.To(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CELL\tENGINE\tPREDICTED\tRESULT\tAGREES\tTO MAIN\tSHOWED")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%.0f ms\t%s\n", named(r), r.Engine, r.Prediction.Verdict,
			r.Result, agreement(r), 1000*r.Seconds.ToMain, shown(r))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, line := range sharing(rows) {
		fmt.Fprintln(w, line)
	}
	for _, problem := range host.Problems {
		fmt.Fprintf(w, "problem: %s\n", problem)
	}
	for _, line := range comparison(o.worse, o.figures, o.skipped) {
		fmt.Fprintln(w, line)
	}
	for _, l := range o.left {
		fmt.Fprintf(w, "left out: %s: %s\n", strings.TrimSpace(l.Image+" "+l.Test), l.Why)
	}
	where := "no driver"
	if host.Driver != "" {
		where = fmt.Sprintf("driver %s (CUDA %s)", host.Driver, host.CUDA)
		if end := compat.DriverEnd(host.Driver); end != nil {
			where += fmt.Sprintf(", %s %s", end.What, end.Until())
		}
	}
	if host.StandIn {
		where += ", a stand-in: none of this was seen on a GPU"
	}
	_, err := fmt.Fprintf(w, "%s, %s\n", counted(len(rows), "row"), where)
	return err
}

// ends is a reason in one line: of several the first, which says what was wanted, and the last, where
// programs say what went wrong; of a long one its beginning and its end.
func ends(reason string) string {
	const head, tail = 100, 160
	first, rest, more := strings.Cut(strings.TrimSpace(reason), "\n")
	if more {
		reason = first + " ... " + rest[strings.LastIndexByte(rest, '\n')+1:]
	}
	if len(reason) > head+tail {
		reason = strings.ToValidUTF8(reason[:head], "") + " ... " + strings.ToValidUTF8(reason[len(reason)-tail:], "")
	}
	return line(reason)
}

// named is the image of a row, and the test if that is not the image's own.
func named(r gpu.Row) string {
	image := oneLine(cmp.Or(r.Cell, shortDigest(r.Digest)))
	if r.Test != "" {
		return image + " " + r.Sample
	}
	return image
}

// sharing sums clients up that shared a GPU: a line for each group of them.
func sharing(rows []gpu.Row) []string {
	var lines []string
	sum, passed := 0.0, 0
	for _, r := range rows {
		s := r.Sharing
		if s == nil {
			continue
		}
		if sum += r.Figures.GFLOPS; r.Result == gpu.Passed {
			passed++
		}
		if s.Client == s.Clients-1 {
			lines = append(lines, fmt.Sprintf("%s, %s: %d of %d clients at %d %% passed, together %.0f GFLOP/s in %.2f s", r.Engine, s.By, passed, s.Clients, s.Threads, sum, s.Wall))
			sum, passed = 0, 0
		}
	}
	return lines
}

func agreement(r gpu.Row) string {
	switch {
	case r.Agrees == nil:
		return "-"
	case *r.Agrees:
		return "yes"
	}
	return "NO"
}

// shown is the one thing that is worth a column.
func shown(r gpu.Row) string {
	var words []string
	switch f := r.Figures; {
	case r.Dry && r.Result == gpu.Waived: // what is linked statically loads none
		words = append(words, fmt.Sprintf("%d libraries loaded", len(r.Loaded)))
	case r.CUDAError != "":
		words = append(words, r.CUDAError+": "+ends(r.Reason))
	case r.Reason != "":
		words = append(words, ends(r.Reason))
	case f.GFLOPS > 0:
		words = append(words, fmt.Sprintf("%.0f GFLOP/s on %d bodies", f.GFLOPS, f.Bodies))
	case f.DriverCUDA != "":
		words = append(words, fmt.Sprintf("driver CUDA %s, runtime %s, %s", f.DriverCUDA, f.RuntimeCUDA, oneLine(strings.Join(f.Names, ", "))))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Figures.Measured)) {
		words = append(words, fmt.Sprintf("%s %.4g", oneLine(name), r.Figures.Measured[name].Value))
	}
	if s := r.Sharing; s != nil {
		words = append(words, fmt.Sprintf("client %d of %d by %s", s.Client+1, s.Clients, s.By))
	}
	if r.PTXJIT && r.Result == gpu.Passed {
		words = append(words, "by JIT")
	}
	return strings.Join(words, ", ")
}

// err maps what was seen to an exit code: what was seen to fail counts more than what
// could not be seen. Rows that are flaky and passed are no failure.
func (o observed) err(problem error) error {
	failed, unknown := 0, 0
	for _, g := range o.worse {
		if g.State != gpu.Flaky {
			failed++
		}
	}
	for _, r := range o.rows {
		switch {
		case r.Result == gpu.Failed, r.Result == gpu.Refused, r.Agrees != nil && !*r.Agrees:
			failed++
		case r.Result == gpu.Waived && !r.Dry:
			unknown++
		}
	}
	switch {
	case failed > 0:
		return &exitError{code: exitFailed, err: problem}
	case problem != nil:
		return &exitError{code: exitUnknown, err: problem}
	case unknown > 0, len(o.rows)+len(o.skipped) == 0 && len(o.left) > 0:
		return &exitError{code: exitUnknown}
	}
	return nil
}
