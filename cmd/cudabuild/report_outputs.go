// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/cudabuild/cudabuild/internal/disk"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/report/page"
	"github.com/cudabuild/cudabuild/report/summary"
)

// forms are what a report is written as, by how the name of a file ends.
var forms = map[string]func(io.Writer, *report.Document) error{
	".html": page.Write,
	".md":   summary.Markdown,
	".svg":  summary.Badge,
	".json": func(w io.Writer, d *report.Document) error { return plain.JSON(w, d) },
}

// output is a file that is to be written.
type output struct {
	file  string
	write func(io.Writer, *report.Document) error
}

type outputs []output

func parseOutputs(names []string) (all outputs, err error) {
	for _, file := range names {
		write, known := forms[filepath.Ext(file)]
		switch {
		case file == "-":
			return nil, hint.Usage("-o - is no file", "without -o the Markdown is printed, with --json the document")
		case !known:
			return nil, hint.Usage(fmt.Sprintf("-o %s: its name does not say what to write", file), "a page ends in .html, Markdown in .md, a badge in .svg, the document in .json")
		case slices.ContainsFunc(all, func(o output) bool { return filepath.Clean(o.file) == filepath.Clean(file) }):
			return nil, hint.Usage(fmt.Sprintf("-o %s is given twice", file), "")
		}
		all = append(all, output{file, write})
	}
	return all, nil
}

// write writes each file whole or not at all: they take their names one after the other, when all of them are whole.
func (all outputs) write(ctx context.Context, doc *report.Document) (err error) {
	var begun []*files.Output
	defer func() {
		for i, out := range begun {
			if closed := out.Close(err); err == nil && closed != nil {
				err = all[i].failed(closed)
			}
		}
	}()
	for _, o := range all {
		out, err := files.Create(ctx, o.file)
		if err != nil {
			return o.failed(err)
		}
		begun = append(begun, out)
		var text bytes.Buffer // a page is written in many small pieces
		if err := o.write(&text, doc); err != nil {
			return fmt.Errorf("%s: %w", o.file, err)
		}
		if _, err := out.Write(text.Bytes()); err != nil {
			return o.failed(err)
		}
	}
	return nil
}

// failed says which file could not be written, and what to do.
func (o output) failed(err error) error {
	next := "name another file"
	if disk.Full(err) {
		next = "free some space, or name a file on another disk"
	}
	return hint.New(fmt.Sprintf("-o %s: %v", o.file, err), next)
}
