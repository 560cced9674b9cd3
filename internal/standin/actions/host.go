// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// host is the machine of one job: a workspace, a home and a folder for what is temporary,
// which no other job sees.
type host struct {
	*run

	name, work, home, temp string
	job                    job
	scope                  scope
	env                    map[string]string // of the workflow, the job, and GITHUB_ENV
	path                   string
	steps                  map[string]any
	failed                 bool
	scripts                int
}

func newHost(r *run, j job, in scope, name string) (*host, error) {
	dir, err := os.MkdirTemp(r.Dir, "job-")
	if err != nil {
		return nil, err
	}
	h := &host{
		run: r, name: name, job: j, env: map[string]string{}, steps: map[string]any{},
		work: filepath.Join(dir, "work"), home: filepath.Join(dir, "home"), temp: filepath.Join(dir, "temp"),
		path: filepath.Join(r.Dir, "bin") + ":" + os.Getenv("PATH"),
	}
	h.scope = in.with(scope{"runner": map[string]any{"temp": h.temp, "os": "Linux", "arch": "X64"}})
	for _, dir := range []string{h.work, h.home, h.temp} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	for _, more := range []map[string]string{r.workflow.Env, j.Env} {
		if err := h.fillEnv(h.env, more); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *host) fillEnv(env, more map[string]string) error {
	for _, key := range sortedKeys(more) {
		value, err := h.now(env).fill(more[key])
		if err != nil {
			return err
		}
		env[key] = asText(value)
	}
	return nil
}

// now is the scope of a step.
func (h *host) now(env map[string]string) scope {
	return h.scope.with(scope{"env": anyMap(env), "steps": h.steps})
}

// finish runs the steps of the job and fills in its outputs.
func (h *host) finish(ctx context.Context) (*Result, error) {
	if err := h.all(ctx, h.job.Steps); err != nil {
		return nil, err
	}
	result := &Result{Name: h.name, End: Success, Outputs: map[string]string{}}
	if h.failed {
		result.End = Failure
	}
	for key, text := range h.job.Outputs {
		value, err := h.now(h.env).fill(text)
		if err != nil {
			return nil, err
		}
		result.Outputs[key] = asText(value)
	}
	return result, nil
}

func (h *host) all(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if err := h.step(ctx, s); err != nil {
			return fmt.Errorf("step %s%s: %w", s.ID, s.Uses, err)
		}
	}
	return nil
}

// step runs a step, if it is to run. That a step failed is no error.
func (h *host) step(ctx context.Context, s step) error {
	holds, err := h.now(h.env).holds(s.If, !h.failed)
	if err != nil || !holds {
		return err
	}
	env := maps.Clone(h.env)
	if err := h.fillEnv(env, s.Env); err != nil {
		return err
	}
	with, err := h.now(env).fillAll(map[string]any(s.With))
	if err != nil {
		return err
	}
	outputs := map[string]string{}
	if s.Uses != "" {
		err = h.use(ctx, s.Uses, with.(map[string]any), outputs)
	} else {
		err = h.script(ctx, s, env, outputs)
	}
	if s.ID != "" {
		h.steps[s.ID] = map[string]any{"outputs": anyMap(outputs)}
	}
	var failure *failureError
	if errors.As(err, &failure) {
		fmt.Fprintf(h.Log, "%s: %v\n", h.name, failure)
		h.failed = true
		return nil
	}
	return err
}

// failureError is that a step failed, as a result.
type failureError struct{ cause error }

func (e *failureError) Error() string { return e.cause.Error() }

func failure(format string, args ...any) error { return &failureError{fmt.Errorf(format, args...)} }

// script runs a script as GitHub does, and reads the files that it wrote for GitHub.
func (h *host) script(ctx context.Context, s step, env, outputs map[string]string) error {
	if strings.Contains(s.Run, "${{") {
		return fmt.Errorf("an expression in a script: pass it through env:\n%s", s.Run)
	}
	h.scripts++
	at := func(name string) string { return filepath.Join(h.temp, fmt.Sprintf("_%d_%s", h.scripts, name)) }
	files := map[string]string{}
	for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"} {
		files[name] = at(strings.ToLower(name))
		if err := os.WriteFile(files[name], nil, 0o644); err != nil {
			return err
		}
	}
	script := at("script.sh")
	if err := os.WriteFile(script, []byte(s.Run), 0o644); err != nil {
		return err
	}
	shell := []string{"-e", script}
	if s.Shell == "bash" {
		shell = []string{"--noprofile", "--norc", "-eo", "pipefail", script}
	}
	fmt.Fprintf(h.Log, "%s: run\n%s", h.name, indent(s.Run))
	cmd := exec.CommandContext(ctx, "bash", shell...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = h.work, h.Log, h.Log
	cmd.Env = h.environ(env, files)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && ctx.Err() == nil:
		err = failure("the script ended with %d", exit.ExitCode())
	case err != nil:
		return err
	}
	return errors.Join(h.readFiles(files, outputs), err)
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ") + "\n"
}

// environ is the environment of a step. The last of a name counts.
func (h *host) environ(env, files map[string]string) []string {
	all := append([]string{}, h.Env...)
	github := h.github()
	for _, key := range []string{"event_name", "repository", "repository_owner", "actor", "run_id", "run_attempt", "ref", "ref_name", "workflow_ref"} {
		all = append(all, "GITHUB_"+strings.ToUpper(key)+"="+asText(github[key]))
	}
	all = append(all, "CI=true", "GITHUB_ACTIONS=true", "GITHUB_WORKSPACE="+h.work, "HOME="+h.home, "PATH="+h.path,
		"RUNNER_TEMP="+h.temp, "RUNNER_OS=Linux", "RUNNER_ARCH=X64")
	for _, more := range []map[string]string{files, env} {
		for _, key := range sortedKeys(more) {
			all = append(all, key+"="+more[key])
		}
	}
	return all
}

func (h *host) readFiles(files, outputs map[string]string) error {
	for name, into := range map[string]map[string]string{"GITHUB_OUTPUT": outputs, "GITHUB_ENV": h.env} {
		if err := readAssignments(files[name], into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	data, err := os.ReadFile(files["GITHUB_PATH"])
	for _, dir := range strings.Fields(string(data)) {
		h.path = dir + ":" + h.path
	}
	return err
}

// readAssignments reads NAME=VALUE, and NAME<<END with the lines before END.
func readAssignments(file string, into map[string]string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		key, value, ok := strings.Cut(lines[i], "=")
		if name, end, long := strings.Cut(lines[i], "<<"); long && !strings.Contains(name, "=") {
			var block []string
			for i++; i < len(lines) && lines[i] != end; i++ {
				block = append(block, lines[i])
			}
			if i == len(lines) {
				return fmt.Errorf("no line %q", end)
			}
			key, value, ok = name, strings.Join(block, "\n"), true
		}
		switch {
		case ok:
			into[key] = value
		case lines[i] != "":
			return fmt.Errorf("invalid line %q", lines[i])
		}
	}
	return nil
}

// writeSudo writes a sudo that stands in for the real one: as that does, it forgets the
// environment but for what it is told to keep.
func (m *Machine) writeSudo() error {
	dir := filepath.Join(m.Dir, "bin")
	home := filepath.Join(m.Dir, "root")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(home, 0o700)); err != nil {
		return err
	}
	var root strings.Builder
	for _, variable := range m.Root {
		fmt.Fprintf(&root, " '%s'", strings.ReplaceAll(variable, "'", `'\''`))
	}
	script := `#!/usr/bin/env bash
# Stand-in for sudo.
set -euo pipefail
keep=()
while [[ ${1-} == -* ]]; do
  case $1 in
    --preserve-env) mapfile -d '' -t keep < <(env -0) ;;
    --preserve-env=*)
      for name in ${1#*=} ; do [ -z "${!name+x}" ] || keep+=("$name=${!name}"); done ;;
    *) echo "stand-in for sudo: $1 is not known" >&2; exit 1 ;;
  esac
  shift
done
exec env -i "${keep[@]}" HOME='` + home + `' PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin` + root.String() + ` "$@"
`
	return os.WriteFile(filepath.Join(dir, "sudo"), []byte(script), 0o755)
}
