// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/internal/plain"
)

// maxDiffLines is how many causes, packages, files and values are printed of each; --json has all.
const maxDiffLines = 20

// maxDiffCause is how much of a cause is printed beside a file, in characters: the whole stands above.
const maxDiffCause = 60

// diffPage prints differences for people: causes first, then what changed of each image.
func diffPage(w io.Writer, r *diff.Result) error {
	var page bytes.Buffer
	fmt.Fprintf(&page, "%s -> %s\n", sideName(r.Old), sideName(r.New))
	if len(r.Causes) > 0 {
		page.WriteString("\ncauses, and how many changes each explains\n")
		table := tabwriter.NewWriter(&page, 0, 0, 2, ' ', 0)
		capped(table, r.Causes, func(c diff.Cause) string {
			return fmt.Sprintf("%s\t%d\t%s", c.Kind, c.Changes, strings.TrimSuffix(oneLine(c.What)+"  "+oneLine(c.Place), "  "))
		})
		_ = table.Flush()
	}
	same := 0
	for _, i := range r.Images {
		if i.Same() {
			same++
			continue
		}
		diffImage(&page, r, i)
	}
	switch {
	case same == len(r.Images):
		page.WriteString("\nthe same\n")
	case same > 0:
		fmt.Fprintf(&page, "\n%d more the same\n", same)
	}
	_, err := plain.To(w).Write(page.Bytes())
	return err
}

func sideName(s diff.Side) string {
	if s.Date.IsZero() {
		return oneLine(s.Name)
	}
	return fmt.Sprintf("%s (%s)", oneLine(s.Name), s.Date.Format("2006-01-02"))
}

func diffImage(page *bytes.Buffer, r *diff.Result, i diff.Image) {
	fmt.Fprintf(page, "\n%s: %s\n", strings.TrimSpace(oneLine(i.Cell)+" "+oneLine(i.Platform)), i.State)
	fmt.Fprintf(page, "  digest  %s -> %s\n", oneLine(cmp.Or(i.OldDigest, "none")), oneLine(cmp.Or(i.NewDigest, "none")))
	if i.OldSize != i.NewSize {
		fmt.Fprintf(page, "  size    %s -> %s\n", sizeText(i.OldDigest, i.OldSize), sizeText(i.NewDigest, i.NewSize))
	}
	if i.OldVerdict != i.NewVerdict {
		fmt.Fprintf(page, "  verdict %s -> %s\n", oneLine(cmp.Or(i.OldVerdict, "none")), oneLine(cmp.Or(i.NewVerdict, "none")))
	}
	switch {
	case i.Why == "":
	case i.State == diff.NotBuilt:
		fmt.Fprintf(page, "  why     %s\n", line(i.Why))
	default:
		fmt.Fprintf(page, "  not read: %s\n", line(i.Why))
	}
	cause := func(n int) string {
		what := []rune(oneLine(r.Causes[n].What))
		return fmt.Sprintf("%s: %s", r.Causes[n].Kind, string(what[:min(len(what), maxDiffCause)]))
	}
	if i.State == diff.Unread {
		listed(page, "causes that are known", i.Causes, cause)
	}
	listed(page, "tags added", i.TagsAdded, oneLine)
	listed(page, "tags removed", i.TagsRemoved, oneLine)
	listed(page, "packages", i.Packages, func(p diff.PackageChange) string {
		return fmt.Sprintf("%s\t%s -> %s\t%s", oneLine(p.Name), oneLine(cmp.Or(p.Old, "none")), oneLine(cmp.Or(p.New, "none")), r.Causes[p.Cause].Kind)
	})
	seen := slices.DeleteFunc(slices.Clone(i.Files), func(f diff.FileChange) bool { return f.How == "time" })
	listed(page, "files", seen, func(f diff.FileChange) string {
		return fmt.Sprintf("/%s\t%s\t%s", oneLine(f.Path), f.How, cause(f.Cause))
	})
	if times := len(i.Files) - len(seen); times > 0 {
		fmt.Fprintf(page, "  in their time alone: %d\n", times)
	}
	listed(page, "configuration", i.Config, func(v diff.ValueChange) string {
		text := fmt.Sprintf("%s\t%s", oneLine(v.Name), r.Causes[v.Cause].Kind)
		if v.Old != v.New { // else the cause says it
			text += fmt.Sprintf("\t%s -> %s", oneLine(cmp.Or(v.Old, "none")), oneLine(cmp.Or(v.New, "none")))
		}
		return text
	})
	listed(page, "predictions", i.Predictions, func(p diff.Prediction) string {
		return fmt.Sprintf("%s on %s\t%s -> %s\t%s", oneLine(p.Driver), oneLine(p.GPU), oneLine(cmp.Or(p.Old, "none")), oneLine(cmp.Or(p.New, "none")), oneLine(p.Why))
	})
	listed(page, "rows", i.Rows, func(c diff.RowChange) string {
		return fmt.Sprintf("%s, %s\tdriver %s on %s\t%s -> %s", oneLine(c.Test), oneLine(c.Engine), oneLine(c.Driver), oneLine(c.GPU), oneLine(cmp.Or(c.Old, "none")), oneLine(cmp.Or(c.New, "none")))
	})
}

// sizeText is the size of an image of a digest, in kB where MB would hide it.
func sizeText(digest string, size int64) string {
	switch {
	case digest == "":
		return "none"
	case size == 0:
		return "not known"
	case size < 1e6:
		return fmt.Sprintf("%.1f kB", float64(size)/1e3)
	}
	return fmt.Sprintf("%.3f MB", float64(size)/1e6)
}

// listed prints the first of all, below a heading with their number.
func listed[T any](page *bytes.Buffer, what string, all []T, line func(T) string) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(page, "  %s: %d\n", what, len(all))
	table := tabwriter.NewWriter(page, 0, 0, 2, ' ', 0)
	capped(table, all, func(one T) string { return "  " + line(one) })
	_ = table.Flush()
}

func capped[T any](w io.Writer, all []T, line func(T) string) {
	for n, one := range all {
		if n == maxDiffLines {
			fmt.Fprintf(w, "  ... %d more (--json has all)\n", len(all)-n)
			return
		}
		fmt.Fprintf(w, "  %s\n", line(one))
	}
}
