// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/retire"
)

// retireFlags are the flags of `cudabuild retire`.
type retireFlags struct {
	selection
	registryFlags

	ended, asJSON bool
	plan          string
}

func newRetire() *cobra.Command {
	var f retireFlags
	cmd := &cobra.Command{
		Use:   "retire REPO",
		Short: "Take away the tags of images that nobody maintains any more",
		Long: `Retire says which tags of a repository are those of cells whose CUDA release or OS has ended,
which other tags name the same images, and what is attached to them. It changes nothing, but
with --plan: then it removes the tags of that plan and nothing else, and nothing at all if one
has moved since. Images go only where a registry says that it removes no tags, and no other tag needs them.

REPO is registry/repo. Cells are those of all groups of the matrix, with all their tags; of a tag
such as latest it counts what it names now. A run that was interrupted goes on when it is repeated.

Exit code: 0 the plan is made, or done; 1 a tag has moved or stays; 3 could not check: no registry.`,
		Args: cobra.ExactArgs(1),
		Example: `  cudabuild retire --ended registry.example.com/team/cuda
  cudabuild retire --ended --json registry.example.com/team/cuda > retire.json
  cudabuild retire --plan retire.json registry.example.com/team/cuda`,
		RunE: f.run,
	}
	f.registerWhole(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.release, "release", "", "`YY.MM` of a release whose tags go too")
	flags.BoolVar(&f.ended, "ended", false, "plan for the cells whose CUDA release or OS nobody maintains any more")
	flags.StringVar(&f.plan, "plan", "", "do what `FILE` says, of --ended --json")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	f.addRegistry(cmd)
	apart(cmd, "ended", "plan")
	onlyWith(cmd, "ended", "file", "recipes", "release") // a plan has its tags
	return cmd
}

// retiredDocument is what retire --plan --json prints.
type retiredDocument struct {
	Version int          `json:"version"` // 1
	Done    *retire.Done `json:"done"`
	Error   string       `json:"error"` // why not all was done, "" if it was
}

func (f *retireFlags) run(cmd *cobra.Command, args []string) error {
	if !f.ended && f.plan == "" {
		return hint.Usage("neither --ended nor --plan is given", "--ended says what would go, --plan FILE does what such a plan says")
	}
	if message, _ := matrix.CheckRepository(args[0]); message != "" {
		return unknown(hint.Usage(message, "REPO is registry/repo: which tags of it go, the plan says"))
	}
	repo, err := name.NewRepository(args[0])
	if err != nil {
		return unknown(hint.Usage(err.Error(), "REPO is registry/repo"))
	}
	retirer, err := retire.New(cmd.Context(), repo, f.registry())
	if err != nil {
		return unknown(err)
	}
	if f.plan != "" {
		return f.do(cmd, retirer, repo)
	}
	cells, err := f.endedCells(cmd)
	if err != nil {
		return err
	}
	plan, err := retirer.Plan(cmd.Context(), cells)
	if err != nil {
		return unknown(err)
	}
	if f.asJSON {
		return plain.JSON(cmd.OutOrStdout(), plan)
	}
	return f.page(cmd, plan, args[0])
}

// endedCells are the cells of all groups that have ended.
func (f *retireFlags) endedCells(cmd *cobra.Command) ([]retire.Cell, error) {
	m, cells, err := f.loadWhole(cmd)
	if err != nil {
		return nil, err
	}
	var all []retire.Cell
	_, ended := bySupport(today(cmd.Context()), cells)
	for _, c := range ended {
		one := retire.Cell{ID: c.ID, Ends: *c.Ends, Keeps: map[string]string{}}
		for _, tag := range c.Tags {
			tag = tag[strings.LastIndexByte(tag, ':')+1:]
			one.Tags = append(one.Tags, tag)
			for _, glob := range m.Publish().Immutable {
				if is, _ := path.Match(glob, tag); is { // the matrix was checked
					one.Keeps[tag] = fmt.Sprintf("%q in publish.immutable keeps it", glob)
				}
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// do does what a plan says.
func (f *retireFlags) do(cmd *cobra.Command, retirer *retire.Retirer, repo name.Repository) error {
	data, err := files.Read(f.plan)
	if err != nil {
		return unknown(hint.Usage(err.Error(), "'cudabuild retire --ended --json' prints one"))
	}
	plan, err := retire.ParsePlan(data)
	if err != nil {
		return unknown(hint.Usage(fmt.Sprintf("%s is no plan: %v", f.plan, err), "'cudabuild retire --ended --json' prints one"))
	}
	if plan.To != repo.Name() {
		return unknown(hint.Usage(fmt.Sprintf("%s is for %s, not for %s", f.plan, plan.To, repo.Name()), "name the repository that the plan was made for, or plan for this one"))
	}
	done, failure := retirer.Do(cmd.Context(), plan)
	if f.asJSON {
		doc := retiredDocument{Version: 1, Done: done}
		if failure != nil {
			doc.Error = failure.Error()
		}
		err = plain.JSON(cmd.OutOrStdout(), doc)
	} else {
		err = retiredPage(plain.To(cmd.OutOrStdout()), done)
	}
	return unknown(errors.Join(failure, err))
}

// page prints a plan.
func (f *retireFlags) page(cmd *cobra.Command, p *retire.Plan, repo string) error {
	w := plain.To(cmd.OutOrStdout())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TAG\tCELL\tENDED\tDIGEST\tALSO NAMED BY")
	tags, kept, attached := 0, 0, 0
	for _, i := range p.Images {
		for _, t := range i.Tags {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", t.Name, t.Cell, cmp.Or(t.Ends.Date, "yes"), shortDigest(i.Digest), orDash(strings.Join(i.KeptBy, ",")))
		}
		if len(i.KeptBy) > 0 {
			kept++
		}
		tags, attached = tags+len(i.Tags), attached+len(i.Attached)
	}
	if tags > 0 {
		if err := table.Flush(); err != nil {
			return err
		}
	}
	var notes strings.Builder
	for _, l := range p.Left {
		fmt.Fprintf(&notes, "stays: %s: %s\n", l.Tag, l.Why)
	}
	if tags == 0 {
		notes.WriteString("nothing is to go: no tag here is that of a cell that has ended, or all of them stay\n")
	} else {
		fmt.Fprintf(&notes, "%s of %s would go; %d of them with other tags that stay; %s attached to those that no tag names then\n",
			counted(tags, "tag"), counted(len(p.Images), "image"), kept, counted(attached, "document"))
		fmt.Fprintf(&notes, "nothing was changed; this makes the plan, and does what it says:\n  %s > retire.json\n  %s\n",
			f.command(cmd, repo, "--ended --json", "file", "recipes", "release"), f.command(cmd, repo, "--plan retire.json"))
	}
	_, err := io.WriteString(w, notes.String())
	return err
}

// command is the command line of another retire of this repository.
func (f *retireFlags) command(cmd *cobra.Command, repo, do string, flags ...string) string {
	words := []string{"cudabuild retire", do}
	for _, name := range flags {
		if flag := cmd.Flags().Lookup(name); flag.Changed {
			words = append(words, given(flag)...)
		}
	}
	if f.realm != "" {
		words = append(words, "--auth-realm", word(f.realm))
	}
	return strings.Join(append(words, word(repo)), " ")
}

// retiredPage prints what was done.
func retiredPage(w io.Writer, done *retire.Done) error {
	var page strings.Builder
	for _, tag := range done.Removed {
		fmt.Fprintf(&page, "removed %s\n", tag)
	}
	for _, digest := range done.Images {
		fmt.Fprintf(&page, "removed image %s with its tags\n", digest)
	}
	for _, l := range done.Left {
		fmt.Fprintf(&page, "stays: %s: %s\n", l.Tag, l.Why)
	}
	fmt.Fprintf(&page, "%s removed, %d gone before, %d left", counted(len(done.Removed), "tag"), len(done.Gone), len(done.Left))
	if n := len(done.Ahead); n > 0 {
		fmt.Fprintf(&page, ", %d not come to", n)
	}
	page.WriteString("\n")
	_, err := io.WriteString(w, page.String())
	return err
}
