// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// How a job ended.
const (
	Success = "success"
	Failure = "failure"
	Skipped = "skipped"
)

// Machine is a repository whose workflows run, and what they run on. Set all fields that
// have no other word.
type Machine struct {
	Dir        string // for everything that runs leave: jobs, artifacts, programs that stand in
	Repository string // "acme/images"
	Event      string // "push"
	Ref        string // "refs/tags/v1.2.3"; default "refs/heads/main"
	Vars       map[string]string
	Secrets    map[string]string
	// Checkout puts the files of a repository into a folder; "" is the one whose workflow runs.
	Checkout func(repository, ref, dir string) error
	// Workflows is the folder that workflows and actions of other repositories are called from, by
	// "owner/name/": what stands behind that is a path below it.
	Workflows map[string]string
	// Env is the environment of every process, and Root of those of the machine's root, who has
	// no other: "NAME=value".
	Env, Root []string
	Log       io.Writer

	attempt int
}

// Result is how a job of a workflow ended. Its instances, those of a matrix, or the jobs
// of a workflow that it calls, stand below it.
type Result struct {
	Name    string
	End     string // Success, Failure or Skipped
	Outputs map[string]string
	Below   []*Result
}

// Results are those of all jobs of a workflow.
type Results []*Result

// Ends are the ends of jobs and their instances by name: "family", "family/12.4-debian13".
func (r Results) Ends() map[string]string {
	ends := map[string]string{}
	for _, one := range r {
		ends[one.Name] = one.End
		maps.Copy(ends, Results(one.Below).Ends())
	}
	return ends
}

func (r Results) find(name string) *Result {
	for _, one := range r {
		if one.Name == name {
			return one
		}
	}
	return nil
}

// Run runs a workflow file. The error is of the workflow or of this stand-in; a step that
// fails is a result.
func (m *Machine) Run(ctx context.Context, file string) (Results, error) {
	return m.RunAgain(ctx, file, nil)
}

// RunAgain runs the jobs of a workflow file that had not succeeded in an earlier run of it,
// which keep what they had left: outputs and artifacts.
func (m *Machine) RunAgain(ctx context.Context, file string, before Results) (Results, error) {
	m.attempt++
	if err := m.writeSudo(); err != nil {
		return nil, err
	}
	w, err := load(file)
	if err != nil {
		return nil, err
	}
	secrets := map[string]any{}
	for name, value := range m.Secrets {
		secrets[name] = value
	}
	r := &run{Machine: m, workflow: w, before: before, scope: scope{
		"github": m.github(), "vars": anyMap(m.Vars), "secrets": secrets, "inputs": map[string]any{},
	}}
	return r.all(ctx)
}

func (m *Machine) github() map[string]any {
	owner, _, _ := strings.Cut(m.Repository, "/")
	ref := cmp.Or(m.Ref, "refs/heads/main")
	return map[string]any{
		"event_name": m.Event, "repository": m.Repository, "repository_owner": owner, "actor": "octocat", "token": "the token of the run",
		"run_id": "4711", "run_attempt": fmt.Sprint(m.attempt), "ref": ref, "ref_name": strings.SplitN(ref, "/", 3)[2],
		"workflow_ref": m.Repository + "/.github/workflows/cuda.yml@" + ref,
		"event":        map[string]any{"repository": map[string]any{"default_branch": "main"}},
	}
}

func anyMap(m map[string]string) map[string]any {
	all := map[string]any{}
	for key, value := range m {
		all[key] = value
	}
	return all
}

// run is a workflow that runs, called by another one or not.
type run struct {
	*Machine

	workflow *workflow
	scope    scope
	prefix   string // of the names of its jobs
	before   Results
	results  Results
}

func (r *run) all(ctx context.Context) (Results, error) {
	for _, j := range r.workflow.Jobs {
		result, err := r.job(ctx, j)
		if err != nil {
			return nil, fmt.Errorf("job %s%s: %w", r.prefix, j.name, err)
		}
		r.results = append(r.results, result)
	}
	return r.results, nil
}

// with is the scope of the run with more in it.
func (s scope) with(more scope) scope {
	all := maps.Clone(s)
	maps.Copy(all, more)
	return all
}

// job runs all instances of a job.
func (r *run) job(ctx context.Context, j job) (*Result, error) {
	name := r.prefix + j.name
	before := r.before.find(name)
	if before != nil && before.End == Success {
		return before, nil
	}
	needs, success := map[string]any{}, true
	for _, need := range j.Needs {
		result := r.results.find(r.prefix + need)
		needs[need] = map[string]any{"result": result.End, "outputs": anyMap(result.Outputs)}
		success = success && result.End == Success
	}
	in := r.scope.with(scope{"needs": needs})
	result := &Result{Name: name, End: Skipped, Outputs: map[string]string{}}
	if holds, err := in.holds(j.If, success); err != nil || !holds {
		return result, err
	}
	matrix, err := in.fillAll(map[string]any(j.Strategy.Matrix))
	if err != nil {
		return nil, err
	}
	instances, err := combinations(matrix.(map[string]any))
	if err != nil {
		return nil, err
	}
	result.End = Success
	for _, values := range instances {
		var earlier Results
		if before != nil {
			earlier = before.Below
		}
		one, err := r.instance(ctx, j, in.with(scope{"matrix": values}), values, earlier)
		if err != nil {
			return nil, err
		}
		if one.End != Success {
			result.End = one.End
		}
		maps.Copy(result.Outputs, one.Outputs)
		if len(values) > 0 {
			result.Below = append(result.Below, one)
		} else {
			result.Below = one.Below
		}
	}
	return result, nil
}

func (r *run) instance(ctx context.Context, j job, in scope, values map[string]any, before Results) (*Result, error) {
	name := r.prefix + j.name
	if len(values) > 0 {
		var parts []string
		for _, key := range []string{"family", "driver", "cuda", "cell", "time", "machine"} {
			if value := values[key]; value != nil {
				parts = append(parts, asText(value))
			}
		}
		name += "/" + strings.Join(parts, "-")
	}
	if earlier := before.find(name); earlier != nil && earlier.End == Success {
		return earlier, nil
	}
	if j.Uses != "" {
		return r.call(ctx, j, in, name, before)
	}
	h, err := newHost(r, j, in, name)
	if err != nil {
		return nil, err
	}
	return h.finish(ctx)
}

// call runs a reusable workflow in place of a job.
func (r *run) call(ctx context.Context, j job, in scope, name string, before Results) (*Result, error) {
	file, err := r.find(j.Uses)
	if err != nil {
		return nil, err
	}
	w, err := load(file)
	if err != nil {
		return nil, err
	}
	with, err := in.fillAll(map[string]any(j.With))
	if err != nil {
		return nil, err
	}
	trigger, ok := w.On["workflow_call"]
	if !ok {
		return nil, fmt.Errorf("%s cannot be called", j.Uses)
	}
	inputs, err := trigger.Inputs.arguments(with.(map[string]any))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.Uses, err)
	}
	secrets := map[string]any{}
	for key, value := range j.Secrets {
		if _, ok := trigger.Secrets[key]; !ok {
			return nil, fmt.Errorf("%s: there is no secret %s", j.Uses, key)
		}
		if secrets[key], err = in.fill(value); err != nil {
			return nil, err
		}
	}
	called := &run{Machine: r.Machine, workflow: w, prefix: name + "/", before: before, scope: scope{
		"github": r.github(), "vars": anyMap(r.Vars), "secrets": secrets, "inputs": inputs,
	}}
	below, err := called.all(ctx)
	if err != nil {
		return nil, err
	}
	result := &Result{Name: name, End: Skipped, Outputs: map[string]string{}, Below: below}
	jobs := map[string]any{}
	for _, one := range below {
		if one.End == Failure || one.End == Success && result.End == Skipped {
			result.End = one.End
		}
		jobs[strings.TrimPrefix(one.Name, called.prefix)] = map[string]any{"result": one.End, "outputs": anyMap(one.Outputs)}
	}
	for key, output := range trigger.Outputs {
		value, err := called.scope.with(scope{"jobs": jobs}).fill(output.Value)
		if err != nil {
			return nil, err
		}
		result.Outputs[key] = asText(value)
	}
	return result, nil
}

// find is the file of a workflow that is called.
func (m *Machine) find(uses string) (string, error) {
	if local, ok := strings.CutPrefix(uses, "./"); ok {
		return m.own(local)
	}
	path, _, pinned := strings.Cut(uses, "@")
	for repository, dir := range m.Workflows {
		if below, ok := strings.CutPrefix(path, repository); ok && pinned {
			return filepath.Join(dir, below), nil
		}
	}
	return "", fmt.Errorf("no workflow %q", uses)
}

// own is a file of the repository whose workflow runs.
func (m *Machine) own(local string) (string, error) {
	dir, err := os.MkdirTemp(m.Dir, "called-")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, local), m.Checkout("", "", dir)
}
