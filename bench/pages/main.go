// SPDX-License-Identifier: Apache-2.0

// Command pages writes pages of `cudabuild report`, and one of `cudabuild diff`, into a folder, for Chromium to look at (make browser) and to time
// (make bench-report): of a small document with a bit of everything, and of large ones. All of them are stand-ins.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cudabuild/cudabuild/internal/reporttest"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/report/page"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pages FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pages:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // the folder is the caller's
		return err
	}
	report := func(d *report.Document) func(io.Writer) error {
		return func(w io.Writer) error { return page.Write(w, d) }
	}
	for name, draw := range map[string]func(io.Writer) error{
		"example.html":    report(reporttest.Document()),
		"cells-600.html":  report(reporttest.Big(600, 40, 8)),
		"cells-2196.html": report(reporttest.Big(2196, 19, 8)),
		"difference.html": func(w io.Writer) error { return page.WriteDiff(w, reporttest.Difference()) },
	} {
		var b bytes.Buffer
		if err := draw(&b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), b.Bytes(), 0o600); err != nil { //nolint:gosec // the folder is the caller's
			return err
		}
	}
	return nil
}
