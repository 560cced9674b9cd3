// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
)

// planView is how plan shows cells, if not as a table.
type planView struct {
	graph bool
	diff  string // a file, "-" is stdin
	lock  string // a file, the lock of that plan
}

func (v *planView) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&v.graph, "graph", false, "print a Mermaid flowchart of the layers that images share")
	cmd.Flags().StringVar(&v.diff, "diff", "", "print what has changed since `FILE`, which --json printed; - is stdin")
	cmd.Flags().StringVar(&v.lock, "lock", "", "with --diff: the lock of that plan, `FILE`, to compare with the one beside the matrix")
	apart(cmd, "graph", "diff")
	apart(cmd, "graph", "json")
}

// planDiffDocument is what plan --diff --json prints.
type planDiffDocument struct {
	plan.Diff

	Lock *lock.Diff `json:"lock,omitempty"` // with --lock
}

// compareLocks says how the lock beside the matrix differs from that of --lock; nil without.
func (v *planView) compareLocks(sel *selection) (*lock.Diff, error) {
	if v.lock == "" {
		return nil, nil
	}
	now, err := sel.readLock()
	if err != nil {
		return nil, err
	}
	old, err := lock.Read(v.lock)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err, hint: "'git show HEAD~:matrix.lock > old.lock' makes a file for --lock"}
	}
	d := lock.Compare(old, now)
	return &d, nil
}

func (v *planView) compare(cmd *cobra.Command, sel *selection, cells []matrix.Cell, asJSON bool) error {
	old, err := v.read(cmd)
	if err != nil {
		return &exitError{code: exitUsage, err: err, hint: "'cudabuild plan --json > plan.json' makes a file for --diff"}
	}
	d, err := plan.Compare(old, cells)
	if err != nil {
		return err
	}
	locks, err := v.compareLocks(sel)
	if err != nil {
		return err
	}
	if asJSON {
		return plain.JSON(cmd.OutOrStdout(), planDiffDocument{d, locks})
	}
	if err := planDiff(cmd.OutOrStdout(), d); err != nil || locks == nil {
		return err
	}
	return lockDiff(cmd.OutOrStdout(), *locks)
}

func (v *planView) read(cmd *cobra.Command) (plan.Old, error) {
	name, data := v.diff, []byte(nil)
	var err error
	if name == "-" {
		if cmd.Flag("file").Value.String() == "-" {
			return plan.Old{}, errors.New("--diff and --file cannot both be stdin")
		}
		name = "stdin"
		data, err = io.ReadAll(cmd.InOrStdin())
	} else {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return plan.Old{}, err
	}
	old, err := plan.Read(data)
	if err != nil {
		return plan.Old{}, fmt.Errorf("%s is not the plan of a matrix: %w", name, err)
	}
	return old, nil
}

// planDiff prints a line for each cell that differs and one for each of its fields.
func planDiff(w io.Writer, d plan.Diff) error {
	var page bytes.Buffer
	for _, id := range d.Added {
		fmt.Fprintf(&page, "+ %s\n", oneLine(id))
	}
	for _, id := range d.Removed {
		fmt.Fprintf(&page, "- %s\n", oneLine(id))
	}
	for _, c := range d.Changed {
		fmt.Fprintf(&page, "~ %s\n", oneLine(c.ID))
		for _, f := range c.Fields {
			fmt.Fprintf(&page, "    %s: %s\n", oneLine(f.Name), difference(f))
		}
	}
	fmt.Fprintf(&page, "%d added, %d removed, %d changed, %d unchanged\n", len(d.Added), len(d.Removed), len(d.Changed), d.Unchanged)
	_, err := w.Write(page.Bytes())
	return err
}

// difference says what came and went of a list, and both values of anything else.
func difference(f plan.Field) string {
	was, wasList := f.Old.([]any)
	now, nowList := f.New.([]any)
	words := append(missing("-", was, now), missing("+", now, was)...)
	if !wasList || !nowList || len(words) == 0 { // a list in another order, too
		return value(f.Old) + " -> " + value(f.New)
	}
	return strings.Join(words, " ")
}

// missing lists the elements of list that other lacks, each with a sign in front.
func missing(sign string, list, other []any) []string {
	var words []string
	for _, e := range list {
		if !slices.ContainsFunc(other, func(o any) bool { return value(o) == value(e) }) {
			words = append(words, sign+value(e))
		}
	}
	return words
}

// value is a JSON value in words; "-" is none, or an empty one.
func value(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return orDash(oneLine(v))
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return oneLine(string(data))
}
