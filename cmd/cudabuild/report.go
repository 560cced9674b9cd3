// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/report/summary"
)

// reportFlags are the flags of `cudabuild report`.
type reportFlags struct {
	registryFlags

	outputs, recipes, since []string
	key, stateDir           string
	asJSON, silent          bool
}

func newReport() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report [-o FILE]... [RUN.json] [LEDGER|REGISTRY/REPO]...",
		Short: "Show what was built, what is in it, where it runs and what is to do",
		Long: `Report makes a page of a run record, of the images beside it, of rows of GPU hosts and of
what stands in a registry (docs/report.md).

RUN.json is a record of matrix, or a folder with files run.json, such as OUT; LEDGER is a folder
with rows of gpu or fleet; REGISTRY/REPO is where the images were pushed, whose evidence is read.
Without arguments they are out/run.json, and ledger if there is one.

FILE is a page if its name ends in .html, Markdown for the summary of a CI job in .md, a badge in
.svg, the document in .json. Without -o the Markdown is printed, with --json the document.

Exit code: 0 it is written, whatever the verdict; 2 usage; 3 the record could not be read, or a file
of a ledger, an image or a registry: but for the record the report is written and says so.`,
		Example: `  cudabuild report -o report.html
  cudabuild report -o report.html -o badge.svg out/run.json ledger
  cudabuild report -o report.html --since last/run.json --key cosign.pub out/run.json ghcr.io/acme/cuda
  cudabuild report out/run.json >>"$GITHUB_STEP_SUMMARY"`,
		RunE: f.run,
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.outputs, "output", "o", nil, "`FILE` to write, a page, Markdown, a badge or JSON by its name (repeatable)")
	flags.StringArrayVar(&f.since, "since", nil, "`RUN.json` of an earlier run, or a folder with it, to say what changed")
	flags.StringVar(&f.key, "key", "", "public key in `FILE`, in PEM, that must have signed the evidence")
	flags.StringArrayVar(&f.recipes, "recipes", nil, "`DIR` with recipes that say when an OS or a CUDA release ends, too (repeatable)")
	flags.StringVar(&f.stateDir, "state-dir", defaultState(), "`DIR` where matrix has kept what it knows about layers (env CUDABUILD_STATE_DIR)")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	flags.BoolVarP(&f.silent, "quiet", "q", false, "show no progress")
	f.addRegistry(cmd)
	return cmd
}

func (f *reportFlags) run(cmd *cobra.Command, args []string) error {
	outputs, err := parseOutputs(f.outputs)
	if err != nil {
		return unknown(err)
	}
	s, err := f.sources(args)
	if err != nil {
		return unknown(err)
	}
	for _, o := range outputs {
		if err := spares(o.file, s.read()); err != nil {
			return unknown(err)
		}
	}
	in, err := f.gather(cmd, s)
	if err != nil {
		return unknown(err)
	}
	doc := report.New(in)
	if err := outputs.write(cmd.Context(), doc); err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	if err := f.print(cmd, doc); err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	return unreadSources(doc.Sources)
}

// print prints the answer: a report that went into files is not printed as well.
func (f *reportFlags) print(cmd *cobra.Command, doc *report.Document) error {
	switch {
	case f.asJSON:
		return plain.JSON(cmd.OutOrStdout(), doc)
	case len(f.outputs) > 0:
		return nil
	}
	var page bytes.Buffer
	if err := summary.Markdown(&page, doc); err != nil {
		return err
	}
	_, err := cmd.OutOrStdout().Write(page.Bytes())
	return err
}

// unreadSources is the error that the report lacks something that it was to be made of.
func unreadSources(all []report.Source) error {
	var problems []error
	for _, s := range all {
		if s.Problem != "" {
			problems = append(problems, hint.New(s.Name+": "+s.Problem, cmp.Or(s.Do, "the report says what it lacks")))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &exitError{code: exitUnknown, err: errors.Join(problems...)}
}

// show is where progress goes: only somebody who watches has a use for it.
func (f *reportFlags) show(cmd *cobra.Command) publish.Show {
	screen, _ := cmd.ErrOrStderr().(*os.File)
	if f.silent || screen == nil || !container.IsTerminal(screen) {
		return func(publish.Phase, bool) {}
	}
	return progressOn(screen)
}
