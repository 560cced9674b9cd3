// SPDX-License-Identifier: Apache-2.0

// Package actions is a stand-in for GitHub Actions: it runs the shell steps of a workflow
// on this machine, each job in folders of its own, as GitHub would run them on others.
//
// [Machine.Run] takes a workflow from its text to the result of every job: expressions,
// needs, matrices, outputs, calls of reusable workflows, composite actions, files for
// outputs, variables and the path, and a sudo that forgets the environment as the real one
// does. [Machine.RunAgain] is what the button "Re-run failed jobs" does.
//
// It promises to be stricter where the real one is lenient: a script with an expression in
// it, an action or a function that it does not know is an error. Of other people's actions
// it has local equivalents for those that our workflows name (uses.go). It has no runner
// labels, no permissions, no time limits and no concurrency: actionlint and reviews judge
// these. Jobs run one after the other.
package actions

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// workflow is a workflow, or an action, which has other fields.
type workflow struct {
	On   map[string]trigger `yaml:"on"`
	Env  map[string]string  `yaml:"env"`
	Jobs jobs               `yaml:"jobs"`

	Inputs  inputs  `yaml:"inputs"`
	Outputs outputs `yaml:"outputs"`
	Runs    struct {
		Using string `yaml:"using"`
		Steps []step `yaml:"steps"`
	} `yaml:"runs"`
}

type trigger struct {
	Inputs  inputs         `yaml:"inputs"`
	Secrets map[string]any `yaml:"secrets"`
	Outputs outputs        `yaml:"outputs"`
}

type (
	inputs  map[string]input
	outputs map[string]struct {
		Value string `yaml:"value"`
	}
)

type input struct {
	Default  any  `yaml:"default"`
	Required bool `yaml:"required"`
}

type job struct {
	name string

	Needs    list              `yaml:"needs"`
	If       string            `yaml:"if"`
	Uses     string            `yaml:"uses"`
	With     map[string]any    `yaml:"with"`
	Secrets  map[string]string `yaml:"secrets"`
	Env      map[string]string `yaml:"env"`
	Outputs  map[string]string `yaml:"outputs"`
	Strategy struct {
		Matrix map[string]any `yaml:"matrix"`
	} `yaml:"strategy"`
	Steps []step `yaml:"steps"`
}

type step struct {
	ID    string            `yaml:"id"`
	If    string            `yaml:"if"`
	Uses  string            `yaml:"uses"`
	With  map[string]any    `yaml:"with"`
	Run   string            `yaml:"run"`
	Shell string            `yaml:"shell"`
	Env   map[string]string `yaml:"env"`
}

// jobs are the jobs of a workflow in the order of its text.
type jobs []job

// UnmarshalYAML reads a mapping of names to jobs.
func (j *jobs) UnmarshalYAML(node *yaml.Node) error {
	for i := 0; i+1 < len(node.Content); i += 2 {
		one := job{name: node.Content[i].Value}
		if err := node.Content[i+1].Decode(&one); err != nil {
			return err
		}
		*j = append(*j, one)
	}
	return nil
}

// list is one word, or a list of them.
type list []string

// UnmarshalYAML reads either.
func (l *list) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*l = list{node.Value}
		return nil
	}
	return node.Decode((*[]string)(l))
}

// UnmarshalYAML reads a trigger that may have nothing in it, or a list of schedules.
func (t *trigger) UnmarshalYAML(node *yaml.Node) error {
	type plain trigger
	if node.Kind != yaml.MappingNode {
		return nil
	}
	return node.Decode((*plain)(t))
}

func load(file string) (*workflow, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var w workflow
	if err := yaml.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &w, w.sort()
}

// sort puts jobs behind those they need, and keeps their order otherwise.
func (w *workflow) sort() error {
	var sorted jobs
	done := map[string]bool{}
	for len(sorted) < len(w.Jobs) {
		i := slices.IndexFunc(w.Jobs, func(j job) bool {
			return !done[j.name] && !slices.ContainsFunc(j.Needs, func(need string) bool { return !done[need] })
		})
		if i < 0 {
			return fmt.Errorf("jobs need each other, or one that is not there: %d of %d have a place", len(sorted), len(w.Jobs))
		}
		done[w.Jobs[i].name] = true
		sorted = append(sorted, w.Jobs[i])
	}
	w.Jobs = sorted
	return nil
}

// arguments are the inputs of a call: what it gives, and defaults for the rest.
func (declared inputs) arguments(with map[string]any) (map[string]any, error) {
	values := map[string]any{}
	for name, in := range declared {
		given, ok := with[name]
		switch {
		case ok:
			values[name] = given
		case in.Required:
			return nil, fmt.Errorf("input %s is not given", name)
		default:
			values[name] = in.Default
		}
		if n, ok := values[name].(int); ok {
			values[name] = float64(n)
		}
	}
	for name := range with {
		if _, ok := declared[name]; !ok {
			return nil, fmt.Errorf("there is no input %s", name)
		}
	}
	return values, nil
}

// Example is the workflow that a page of the documentation shows.
func Example(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for block := range strings.SplitSeq(string(data), "```yaml\n") {
		text, _, _ := strings.Cut(block, "```\n")
		if strings.HasPrefix(text, "name:") && strings.Contains(text, "\njobs:\n") {
			return text, nil
		}
	}
	return "", fmt.Errorf("%s: it shows no workflow", file)
}

// combinations are the matrix values of each instance of a job; one without values if it
// has no matrix.
func combinations(matrix map[string]any) ([]map[string]any, error) {
	all := []map[string]any{{}}
	for _, key := range sortedKeys(matrix) {
		values, ok := matrix[key].([]any)
		if !ok {
			return nil, fmt.Errorf("matrix: %s is no list: %v", key, matrix[key])
		}
		var more []map[string]any
		for _, value := range values {
			for _, one := range all {
				next := map[string]any{}
				for k, v := range one {
					next[k] = v
				}
				entry, isEntry := value.(map[string]any)
				switch {
				case key != "include":
					next[key] = value
				case isEntry && len(matrix) == 1: // beside other keys it means more than we need
					next = entry
				default:
					return nil, fmt.Errorf("matrix: include beside other keys: %v", value)
				}
				more = append(more, next)
			}
		}
		all = more
	}
	if len(all) > 256 {
		return nil, fmt.Errorf("matrix: %d jobs, 256 at most", len(all))
	}
	return all, nil
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
