// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/emit"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/matrix"
)

// exports are the ways of plan to say what is built in the language of another tool.
type exports struct{ dockerfile, format, dir string }

func (e *exports) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&e.dockerfile, "dockerfile", "", "print a Dockerfile of `CELL`, of any group")
	flags.StringVar(&e.format, "emit", "", "write the plan for another tool: `FORMAT` is bake or github")
	flags.StringVarP(&e.dir, "out", "o", "", "`DIR` for the files of --emit; a single file is printed without it")
	apart(cmd, "json", "dockerfile", "emit")
	apart(cmd, "graph", "diff", "dockerfile", "emit")
	apart(cmd, "dockerfile", "out")
	apart(cmd, "dockerfile", "supported") // it is of the cell that is named, whoever maintains it
}

// asked reports whether one of these ways was chosen.
func (e *exports) asked() bool { return e.dockerfile != "" || e.format != "" || e.dir != "" }

func (e *exports) run(cmd *cobra.Command, sel *selection) error {
	if e.dockerfile != "" {
		return e.printDockerfile(cmd, sel)
	}
	write := map[string]func(*matrix.Matrix, []matrix.Cell) ([]emit.File, error){"bake": bake, "github": sel.github}[e.format]
	switch {
	case e.format == "":
		return errors.New("--out says where --emit writes: add --emit bake or --emit github")
	case write == nil:
		return fmt.Errorf("--emit %q: want bake or github", e.format)
	}
	m, cells, err := sel.loadAll(cmd, false)
	if err != nil {
		return err
	}
	files, err := write(m, cells)
	if err != nil {
		return err
	}
	return e.write(cmd.OutOrStdout(), files)
}

// printDockerfile prints the Dockerfile of one cell.
func (e *exports) printDockerfile(cmd *cobra.Command, sel *selection) error {
	cell, err := sel.find(cmd, e.dockerfile, false)
	if err != nil {
		return err
	}
	text, err := emit.Dockerfile([]matrix.Cell{cell})
	if err != nil {
		return err
	}
	_, err = io.WriteString(cmd.OutOrStdout(), text)
	return err
}

func bake(_ *matrix.Matrix, cells []matrix.Cell) ([]emit.File, error) { return emit.Bake(cells) }

// github makes workflows that select the same cells as the command line did, and push where
// `cudabuild push` would.
func (s *selection) github(m *matrix.Matrix, cells []matrix.Cell) ([]emit.File, error) {
	if s.file == "-" {
		return nil, errors.New("--emit github: the workflow has to name the matrix, so --file cannot be stdin")
	}
	file, err := inRepository(s.file)
	if err != nil {
		return nil, err
	}
	from := emit.Origin{File: file, Group: s.group, Release: s.release, Only: s.only, To: m.Publish().To, Commit: buildCommit()}
	if s.supported { // the jobs are for these, whatever day they run on
		from.Only = nil
		for _, c := range cells {
			from.Only = append(from.Only, c.ID)
		}
	}
	for _, dir := range s.recipes {
		if dir, err = inRepository(dir); err != nil {
			return nil, err
		}
		from.Recipes = append(from.Recipes, dir)
	}
	return emit.GitHub(cells, from)
}

// write puts the files into the folder, or prints the only one.
func (e *exports) write(stdout io.Writer, made []emit.File) error {
	if e.dir == "" && len(made) == 1 {
		_, err := io.WriteString(stdout, made[0].Text)
		return err
	}
	if e.dir == "" {
		return &exitError{
			code: exitUsage,
			err:  fmt.Errorf("--emit %s makes %d files", e.format, len(made)),
			hint: "name a folder for them with --out DIR",
		}
	}
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	for _, f := range made {
		if err := files.Write(filepath.Join(e.dir, f.Name), []byte(f.Text)); err != nil {
			return &exitError{code: exitUnknown, err: err}
		}
		fmt.Fprintln(stdout, filepath.Join(e.dir, f.Name))
	}
	return nil
}
