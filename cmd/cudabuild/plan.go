// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

func newPlan() *cobra.Command {
	var sel selection
	var asJSON bool
	var view planView
	var out exports
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Expand and check the matrix without building",
		Long: `Plan reads the matrix, checks all of it against the recipes, and prints the images
of one group in the order in which they are built. It builds nothing.`,
		Args: cobra.NoArgs,
		Example: `  cudabuild plan
  cudabuild plan --group debian --only '*-base-*' --only '*-runtime-*'
  cudabuild plan --group all --supported
  cudabuild plan --json
  cudabuild plan --graph
  git show HEAD~:plan.json | cudabuild plan --diff -
  cudabuild plan --dockerfile 12.4-runtime-debian13 | docker buildx build --tag cuda:12.4-runtime-debian13 -
  cudabuild plan --emit bake --out bake && cd bake && docker buildx bake
  cudabuild plan --emit github > .github/workflows/cuda-images.yml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if view.lock != "" && view.diff == "" {
				return errors.New("--lock is the lock of another plan: give --diff, too")
			}
			if out.asked() {
				return out.run(cmd, &sel)
			}
			cells, err := sel.load(cmd, asJSON)
			if err != nil {
				return err
			}
			switch {
			case view.graph:
				_, err := io.WriteString(cmd.OutOrStdout(), plan.Graph(cells))
				return err
			case view.diff != "":
				return view.compare(cmd, &sel, cells, asJSON)
			case asJSON:
				return planJSON(cmd.OutOrStdout(), cells, spec.Problems{})
			}
			return planTable(cmd, sel.group, cells)
		},
	}
	sel.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document, problems included")
	view.register(cmd)
	out.register(cmd)
	return cmd
}

func planJSON(w io.Writer, cells []matrix.Cell, problems spec.Problems) error {
	return plain.JSON(w, plan.Document{Version: 1, Cells: cells, Problems: problems})
}

func planTable(cmd *cobra.Command, group string, cells []matrix.Cell) error {
	w := cmd.OutOrStdout()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CELL\tOS\tCUDA\tPARENT\tPLATFORMS\tENDS\tTAG")
	samples, unsourced := 0, 0
	for _, c := range cells {
		if c.Sample != "" {
			samples++
		}
		if len(c.Unsourced) > 0 {
			unsourced++
		}
		parent := c.Parent
		if parent == "" {
			parent = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.OS, c.CUDA, parent,
			strings.Join(c.Platforms, ","), endWord(c.Ends), strings.Join(c.Tags, ","))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	notes := fmt.Sprintf("%s of group %s, %s among them\n", counted(len(cells), "cell"), group, counted(samples, "sample"))
	if unsourced > 0 {
		notes += fmt.Sprintf("%s with unsourced packages: matrix builds none of them without --unpinned; explain CELL names them\n", counted(unsourced, "cell"))
	}
	if _, ended := bySupport(today(cmd.Context()), cells); len(ended) > 0 {
		notes += fmt.Sprintf("%s that nobody maintains any more: --supported leaves them out; explain CELL says why\n", counted(len(ended), "cell"))
	}
	_, err := io.WriteString(w, notes)
	return err
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// selection is which cells of which matrix a command works on, as its flags say.
type selection struct {
	file    string // "-" is stdin
	group   string
	only    []string // globs on cell IDs; none selects all
	recipes []string // directories laid over the embedded recipes
	release string   // "26.11" gives the images the tags of a release too

	supported bool // only those whose CUDA release and OS are maintained
	told      bool // how many are not
}

// register adds the flags that every command on cells has.
func (s *selection) register(cmd *cobra.Command) {
	s.registerMatrix(cmd)
	cmd.Flags().StringArrayVar(&s.only, "only", nil, "only the cells whose ID matches `GLOB`, such as '12.4-*' (repeatable)")
	cmd.Flags().BoolVar(&s.supported, "supported", false, "leave out cells whose CUDA release or OS nobody maintains any more")
	cmd.Flags().StringVar(&s.release, "release", "", "`YY.MM` of a release: make the tags with {yy} and {mm} too")
}

// registerMatrix adds the flags that say which matrix.
func (s *selection) registerMatrix(cmd *cobra.Command) {
	s.registerWhole(cmd)
	cmd.Flags().StringVar(&s.group, "group", "default", "`GROUP` of the matrix")
}

// registerWhole is registerMatrix for commands that are about all groups.
func (s *selection) registerWhole(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&s.file, "file", "f", "matrix.yaml", "matrix `FILE`, - for stdin")
	flags.StringArrayVar(&s.recipes, "recipes", nil, "`DIR` with recipes laid over the embedded ones, key by key (repeatable)")
}

// load is what commands on cells begin with: it reads recipes and matrix and expands the
// group. Problems are told on stderr and, for asJSON, as a document on stdout. The error has
// an exit code.
func (s *selection) load(cmd *cobra.Command, asJSON bool) ([]matrix.Cell, error) {
	_, cells, err := s.loadAll(cmd, asJSON)
	return cells, err
}

// loadAll is load that returns the whole matrix, too.
func (s *selection) loadAll(cmd *cobra.Command, asJSON bool) (*matrix.Matrix, []matrix.Cell, error) {
	m, err := s.open(cmd.InOrStdin())
	if err != nil {
		return nil, nil, tell(cmd, err, asJSON)
	}
	cells, err := s.expand(cmd, m)
	return m, cells, tell(cmd, err, asJSON)
}

// loadWhole is load for the cells of all groups, each once, with their matrix.
func (s *selection) loadWhole(cmd *cobra.Command) (*matrix.Matrix, []matrix.Cell, error) {
	m, err := s.open(cmd.InOrStdin())
	if err != nil {
		return nil, nil, tell(cmd, err, false)
	}
	var all []matrix.Cell
	seen := map[string]bool{}
	for _, group := range m.Groups() {
		cells, err := m.Expand(group, nil)
		if err != nil {
			return nil, nil, tell(cmd, err, false)
		}
		for _, c := range cells {
			if !seen[c.ID] {
				seen[c.ID], all = true, append(all, c)
			}
		}
	}
	return m, all, nil
}

// find is load for one cell, of whatever group.
func (s *selection) find(cmd *cobra.Command, id string, asJSON bool) (matrix.Cell, error) {
	m, err := s.open(cmd.InOrStdin())
	if err != nil {
		return matrix.Cell{}, tell(cmd, err, asJSON)
	}
	group := s.group
	if !cmd.Flags().Changed("group") && !slices.Contains(m.Groups(), group) {
		group = m.Groups()[0]
	}
	cell, err := m.Find(group, id)
	return cell, tell(cmd, err, asJSON)
}

// tell reports an error that is a spec.Problems, and returns one that is told.
func tell(cmd *cobra.Command, err error, asJSON bool) error {
	var problems spec.Problems
	if !errors.As(err, &problems) {
		return err
	}
	tellProblems(cmd.ErrOrStderr(), problems)
	if asJSON {
		if err := planJSON(cmd.OutOrStdout(), []matrix.Cell{}, problems); err != nil {
			return err
		}
	}
	return &exitError{code: exitUsage}
}

// open reads recipes and matrix. The error is a spec.Problems.
func (s *selection) open(stdin io.Reader) (*matrix.Matrix, error) {
	catalog, err := recipes.Load(s.recipes...)
	if err != nil {
		return nil, err
	}
	m, err := s.parse(stdin, catalog)
	if err != nil || s.release == "" {
		return m, err
	}
	return m.Stamped(s.release)
}

func (s *selection) parse(stdin io.Reader, catalog *recipes.Catalog) (*matrix.Matrix, error) {
	if s.file != "-" {
		return matrix.Load(s.file, catalog)
	}
	data, err := io.ReadAll(io.LimitReader(stdin, spec.MaxBytes+1))
	if err != nil {
		return nil, spec.Problems{{File: s.name(), Message: err.Error()}}
	}
	return matrix.Parse(s.name(), data, catalog)
}

// tellProblems prints each problem with its hint.
func tellProblems(stderr io.Writer, problems spec.Problems) {
	for _, p := range problems {
		fmt.Fprintf(stderr, "cudabuild: error: %v\n", p)
		if p.Hint != "" {
			fmt.Fprintf(stderr, "cudabuild: hint: %s\n", p.Hint)
		}
	}
}
