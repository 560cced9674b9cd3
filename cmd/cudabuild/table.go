// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/record"
)

// print prints the answer.
func (f *matrixFlags) print(w io.Writer, result *record.Run) error {
	if !f.asJSON {
		return runTable(w, result)
	}
	return plain.JSON(w, result)
}

func runTable(w io.Writer, result *record.Run) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	several := slices.ContainsFunc(result.Cells, func(c record.Cell) bool { return len(c.Images) > 1 })
	platforms := ""
	if several {
		platforms = "PLATFORMS\t"
	}
	fmt.Fprintln(table, "CELL\tSTATUS\t"+platforms+"SIZE\tBUILD\tDIGEST")
	for _, c := range result.Cells {
		if several {
			platforms = platformsOf(c) + "\t"
		}
		status, built := string(c.Status), fmt.Sprintf("%.0f s", c.BuildSeconds)
		if c.Cached {
			built = "unchanged"
		}
		if c.Stage != "" {
			status += " (" + c.Stage + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s%s\t%s\t%s\n", c.ID, status, platforms, megabytes(c.SizeBytes), built, shortDigest(c.Digest))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range result.Cells {
		if c.Reason != "" {
			fmt.Fprintf(w, "%s %s: %s\n", c.ID, c.Status, c.Reason)
		}
		if c.Hint != "" {
			fmt.Fprintf(w, "hint: %s\n", c.Hint)
		}
	}
	t := result.Totals
	_, err := fmt.Fprintf(w, "%d of %d passed, %d unchanged, %s of distinct blobs, %.1f s\n",
		t.Passed, t.Cells, t.Cached, megabytes(t.SizeBytes), t.Seconds)
	return err
}

// platformsOf are the platforms whose images were judged.
func platformsOf(c record.Cell) string {
	var names []string
	for _, image := range c.Images {
		names = append(names, image.Platform)
	}
	return cmp.Or(strings.Join(names, ","), "-")
}

func megabytes(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}

func shortDigest(d string) string {
	_, hex, _ := strings.Cut(d, ":")
	if len(hex) < 12 {
		return "-"
	}
	return hex[:12]
}
