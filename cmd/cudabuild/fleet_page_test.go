// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/gpu"
)

// TestTryLedger: a ledger that takes no row is noticed before there are any, and is left as it was.
func TestTryLedger(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "rows")
	if err := tryLedger(dir); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for of, err := range map[string]error{
		"can be written to":                 tryLedger(filepath.Join(file, "rows")),
		"free some space, or name a folder": unkept(&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}),
	} {
		if with := new(exitError); !errors.As(err, &with) || with.code != exitUnknown || !strings.Contains(with.hint, of) || !strings.HasPrefix(err.Error(), "--ledger: ") {
			t.Errorf("%v, want a hint with %q", err, of)
		}
	}
}

// TestFleetPage: what is not there is said once, with the words of the table, however many nodes there are.
func TestFleetPage(t *testing.T) {
	t.Parallel()
	var plan fleet.Plan
	var problems []fleetProblem
	for i := range 300 {
		plan.Left = append(plan.Left, fleet.Left{Test: "nbody", Image: "r/cuda:1", On: gpu.Asked{GPU: "sm_70", Driver: fmt.Sprintf("5%02d", i%40), GPUs: 1}, Why: "it has no code for sm_70"})
		plan.Nodes = append(plan.Nodes, fleet.LeftNode{Name: fmt.Sprint("n", i), Why: "it is cordoned"})
		problems = append(problems, fleetProblem{Job: fmt.Sprint("job-", i), Image: "r/cuda@sha256:000000000000aa", Cell: "12.4-nbody-debian13", Test: "nbody", Asked: gpu.Asked{GPU: "sm_90", Driver: ">=535", GPUs: 1}, Why: "no node"})
	}
	problems = append(problems, fleetProblem{Job: "last", Image: "r/cuda@sha256:000000000000aa", Test: "own", Why: "other"})
	var got strings.Builder
	printLeft(&got, plan)
	printProblems(&got, problems)
	want := `left out: r/cuda:1 nbody on sm_70 500, sm_70 501, sm_70 502 and 37 more: it has no code for sm_70
left out: node n0, n1, n2 and 297 more: it is cordoned
no row: 12.4-nbody-debian13 nbody on sm_90 >=535 (job-0, job-1, job-2 and 297 more): no node
no row: 000000000000 own on any node (last): other
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
	got.Reset()
	for i := range problems {
		problems[i].Why = fmt.Sprint(i)
	}
	printProblems(&got, problems)
	if n := strings.Count(got.String(), "\n"); n != maxLines+1 || !strings.HasSuffix(got.String(), "no row: 281 more lines like these: --json has all\n") {
		t.Errorf("%d lines:\n%s", n, got.String())
	}
}
