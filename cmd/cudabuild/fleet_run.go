// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/fleet/k8s"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/disk"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/record"
)

// fleetRunFlags are the flags of `cudabuild fleet run`.
type fleetRunFlags struct {
	fleetFlags

	observer, ledger string
	limit, wait      time.Duration
}

func newFleetRun() *cobra.Command {
	var f fleetRunFlags
	cmd := &cobra.Command{
		Use:   "run --observer IMAGE [IMAGE...]",
		Short: "Make rows on the nodes of a cluster",
		Long: `Run makes the rows that 'cudabuild fleet plan' shows: one Job each, with the image unchanged and by
digest, on nodes for which it is predicted that it runs. --observer is the image that 'cudabuild
fleet install' has put into a registry; it is copied into each pod and says what was seen.

Rows appear as they end and go to --ledger at once. If this ends before, by a signal or a lost connection, the
run goes on in the cluster, and the same command takes it up. When all rows are there, nothing is left
in the cluster.

Exit code: 0 all passed, 1 a sample or test failed, was refused or did other than predicted, 3 a row could
not be made, or found no device.`,
		Example: `  cudabuild fleet run --observer registry.example.com/observe@sha256:... --ledger rows registry.example.com/cuda:12.4-nbody-debian13
  cudabuild fleet run --observer $OBSERVER --driver '>=535' --gpu sm_90 --repeat 10 --ledger rows registry.example.com/cuda:12.4-nbody-debian13`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.observer, "observer", "", "`IMAGE` of the observer, as 'cudabuild fleet install' prints it")
	flags.StringVar(&f.ledger, "ledger", "", "`DIR` to write the rows to")
	flags.DurationVar(&f.limit, "timeout", time.Minute, "time that a sample may take")
	flags.DurationVar(&f.wait, "wait", 15*time.Minute, "time without a node, while no other row runs, after which a row is given up")
	flags.StringVar(&f.RuntimeClass, "runtime-class", "", "`NAME` of the runtime class of pods with GPUs")
	flags.StringSliceVar(&f.PullSecrets, "pull-secret", nil, "`NAME` of a secret for pulling the images (repeatable)")
	flags.StringVar(&f.CPU, "cpu", "", "processors that a program asks for, such as 4 or 500m")
	flags.StringVar(&f.Memory, "memory", "", "memory that a program asks for and may have, such as 16Gi")
	_ = cmd.MarkFlagRequired("observer")
	return cmd
}

func (f *fleetRunFlags) run(cmd *cobra.Command, refs []string) error {
	if f.limit <= 0 || f.wait <= 0 {
		return errors.New("--timeout and --wait must not be zero")
	}
	if err := checkObserver(f.observer); err != nil {
		return err
	}
	client, err := f.cluster(cmd.Context())
	if err != nil {
		return err
	}
	f.how = []any{f.observer, f.Pods, f.limit}
	plan, done, err := f.plan(cmd, refs)
	if err != nil {
		return err
	}
	defer done()
	kept, err := readLedger(f.ledger)
	if err != nil {
		return unknown(err)
	}
	seen := &fleetSeen{w: plain.To(cmd.OutOrStdout()), asJSON: f.asJSON, ledger: f.ledger, rows: []record.Row{}, Problems: []fleetProblem{}}
	runner := &k8s.Runner{
		Client: client, Observer: f.observer, Pods: f.Pods, Limit: f.limit, Wait: f.wait,
		Have: func(t fleet.Task, run string) bool { return seen.had(t, run, kept) },
	}
	if len(plan.Tasks) > 0 {
		if err := tryLedger(f.ledger); err != nil {
			return err
		}
		err = runner.Run(cmd.Context(), plan, seen.add)
	}
	if err != nil && !runner.Begun() && len(seen.rows)+len(seen.Problems) == 0 {
		return unknown(err) // there is no run
	}
	if printErr := seen.print(plan); err == nil {
		err = printErr
	}
	if err != nil && runner.Begun() {
		fmt.Fprintf(cmd.ErrOrStderr(), "cudabuild: run cudabuild-run-%s goes on in the cluster: the same command takes it up, 'cudabuild fleet prune' with its name ends it\n", plan.Run)
	}
	if err != nil {
		return unknown(err)
	}
	return seen.err(plan)
}

var digested = regexp.MustCompile(`^[^@\s]+@sha256:[0-9a-f]{64}$`)

// checkObserver wants an image by digest: what a pod runs must be what was installed.
func checkObserver(ref string) error {
	if !digested.MatchString(ref) {
		return &exitError{code: exitUsage, err: fmt.Errorf("--observer %q: want an image by digest, REGISTRY/REPO@sha256:DIGEST", ref), hint: "'cudabuild fleet install --to REPO' prints it"}
	}
	return nil
}

// readLedger reads a ledger that may be yet to come.
func readLedger(dir string) ([]gpu.Observation, error) {
	if dir == "" {
		return nil, nil
	}
	rows, err := gpu.ReadLedger(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return rows, err
}

// tryLedger says what would keep rows from a ledger before there are any.
func tryLedger(dir string) error {
	if dir == "" {
		return nil
	}
	err := os.MkdirAll(dir, 0o755)
	if err != nil {
		return unkept(err)
	}
	file, err := files.Unnamed(dir)
	if err != nil {
		return unkept(err)
	}
	_, err = file.Write(make([]byte, 64<<10)) // as much as some rows
	return unkept(errors.Join(err, file.Close()))
}

// unkept is the error of a ledger that takes no row.
func unkept(err error) error {
	if err == nil {
		return nil
	}
	hint := "name a folder with --ledger that can be written to"
	if disk.Full(err) {
		hint = "free some space, or name a folder on another disk with --ledger"
	}
	return &exitError{code: exitUnknown, err: fmt.Errorf("--ledger: %w", err), hint: hint}
}

// fleetSeen is what a run shows.
type fleetSeen struct {
	w      io.Writer
	asJSON bool
	ledger string
	rows   []record.Row

	Problems []fleetProblem
}

// fleetProblem is why there is no row of a task.
type fleetProblem struct {
	Job   string    `json:"job"`
	Image string    `json:"image"`
	Cell  string    `json:"cell"`
	Test  string    `json:"test"`
	Asked gpu.Asked `json:"asked"`
	Why   string    `json:"why"`
}

// had reports whether an earlier client of the run has kept the row of a task.
func (s *fleetSeen) had(t fleet.Task, run string, kept []gpu.Observation) bool {
	i := slices.IndexFunc(kept, func(o gpu.Observation) bool { return o.Row.Job == t.Name && o.Row.Run == run })
	if i < 0 {
		return false
	}
	s.show(record.Row{Row: kept[i].Row, Host: kept[i].Host})
	return true
}

// add keeps a result and shows it.
func (s *fleetSeen) add(r k8s.Result) error {
	subject := r.Task.Subject
	if r.Problem != "" {
		s.Problems = append(s.Problems, fleetProblem{r.Task.Name, subject.Pull, subject.Cell, subject.Test.Name, r.Task.On, r.Problem})
		return nil
	}
	if s.ledger != "" {
		if err := gpu.Append(s.ledger, r.Host, r.Row); err != nil {
			return unkept(err)
		}
	}
	s.show(record.Row{Row: r.Row, Host: r.Host})
	return nil
}

func (s *fleetSeen) show(r record.Row) {
	s.rows = append(s.rows, r)
	if !s.asJSON {
		fmt.Fprintf(s.w, "%s on %s: %s\n", named(r.Row), r.Node.Name, r.Result)
	}
}

// fleetDocument is what fleet run --json prints.
type fleetDocument struct {
	Version  int            `json:"version"` // 1
	Run      string         `json:"run"`
	Rows     []record.Row   `json:"rows"`     // in the order in which they ended
	Problems []fleetProblem `json:"problems"` // rows that could not be made
	Left     []fleet.Left   `json:"left_out"`
	// Nodes with GPUs that took no row as the cluster was.
	Nodes []fleet.LeftNode `json:"left_nodes"`
}

func (s *fleetSeen) print(plan fleet.Plan) error {
	if s.asJSON {
		return plain.JSON(s.w, fleetDocument{1, plan.Run, s.rows, s.Problems, plan.Left, append([]fleet.LeftNode{}, plan.Nodes...)})
	}
	if len(plan.Tasks) == 0 { // there was no run
		printLeft(s.w, plan)
		return nil
	}
	table := tabwriter.NewWriter(s.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nIMAGE\tNODE\tDRIVER\tGPU\tPREDICTED\tRESULT\tAGREES\tSHOWED")
	for _, r := range s.rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", named(r.Row), oneLine(r.Node.Name), orDash(r.Host.Driver), orDash(r.Under.GPU),
			r.Prediction.Verdict, r.Result, agreement(r.Row), shown(r.Row))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	printProblems(s.w, s.Problems)
	printLeft(s.w, plan)
	_, err := fmt.Fprintf(s.w, "%d of %d rows, run %s\n", len(s.rows), len(plan.Tasks), plan.Run)
	return err
}

// err is the exit code: what was seen to fail counts more than what could not be seen.
func (s *fleetSeen) err(plan fleet.Plan) error {
	var rows observed
	for _, r := range s.rows {
		rows.rows = append(rows.rows, r.Row)
	}
	if len(s.Problems) > 0 {
		return rows.err(fmt.Errorf("%d of %d rows could not be made", len(s.Problems), len(plan.Tasks)))
	}
	return cmp.Or(rows.err(nil), nothing(plan))
}
