// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/fleet"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/usertest"
)

// wanted is what a command line of fleet asks for: images, what is run in them, and the kinds of nodes.
type wanted struct {
	refs    []string
	tests   []usertest.Test // nil for the images' own samples
	classes []fleet.Ask     // for all of them, or
	missing []missingRow    // by themselves
	left    []fleet.LeftNode
}

// missingRow is one that a gate lacks.
type missingRow struct {
	ref, test string
	on        gpu.Asked
}

func (f *fleetFlags) wanted(cmd *cobra.Command, refs []string) (w wanted, err error) {
	switch {
	case f.repeat < 1:
		return w, errors.New("--repeat must not be zero")
	case f.repeat > fleet.MaxRows:
		return w, fmt.Errorf("--repeat %d: a run has at most %d rows", f.repeat, fleet.MaxRows)
	case f.missing != "" && len(refs) > 0:
		return w, errors.New("--missing names the images: leave IMAGE out")
	case f.missing != "":
		return f.lacking()
	}
	if w.tests, w.refs, err = loadTests(cmd, f.tests, refs); err != nil {
		return w, err
	}
	w.classes, w.left, err = f.classes(cmd.Context())
	return w, err
}

// lacking reads the plan of a push. Its images must be in the registry, staged or published.
func (f *fleetFlags) lacking() (w wanted, err error) {
	data, err := os.ReadFile(f.missing)
	if err != nil {
		return w, unknown(err)
	}
	plan, err := publish.ParsePlan(data)
	if err != nil {
		return w, &exitError{code: exitUsage, err: fmt.Errorf("--missing %s: no plan of a push: %v", f.missing, err), hint: "'cudabuild push --dry-run --json' prints one"}
	}
	if f.tests != "" {
		if w.tests, err = usertest.Load(f.tests); err != nil {
			return w, err
		}
	}
	digests := map[string]string{}
	for _, c := range plan.Cells {
		digests[c.ID] = c.Digest
	}
	for _, c := range plan.Cells {
		for _, g := range c.Gates {
			if g.Kind != publish.ByGPU || g.State != publish.Missing {
				continue
			}
			row := missingRow{plan.To + "@" + digests[g.Cell], g.Test, gpu.Asked{Driver: g.Driver, GPU: g.GPU, GPUs: 1}}
			if !slices.Contains(w.missing, row) {
				w.missing = append(w.missing, row)
			}
			if !slices.Contains(w.refs, row.ref) {
				w.refs = append(w.refs, row.ref)
			}
		}
	}
	if len(w.missing) == 0 {
		return w, unknown(hint.New(fmt.Sprintf("%s: no gate lacks a row", f.missing), "'cudabuild push --plan "+f.missing+"' publishes"))
	}
	return w, nil
}

// choose says what is run in each image.
func (w wanted) choose(images []subject) (chosen []subject, left []leftOut, problems []error) {
	if w.missing == nil {
		return choose(images, w.tests)
	}
	for _, s := range images {
		var names []string
		for _, m := range w.missing {
			if m.ref == s.given && !slices.Contains(names, m.test) {
				names = append(names, m.test)
			}
		}
		for _, name := range names {
			one := s
			if i := slices.IndexFunc(w.tests, func(t usertest.Test) bool { return t.Name == name }); i >= 0 {
				one.own, one.test = &w.tests[i], gpu.Own(w.tests[i])
			} else if test, known := gpu.Sample(name); known {
				one.test = test
			} else {
				problems = append(problems, hint.New(fmt.Sprintf("test %q is not known", name), "name the file that has it with --tests, the matrix.yaml of the push"))
				continue
			}
			chosen = append(chosen, one)
		}
	}
	return chosen, nil, problems
}

// on are the kinds of nodes for a test of an image.
func (w wanted) on(s subject) []fleet.Ask {
	if w.missing == nil {
		return w.classes
	}
	var classes []fleet.Ask
	for _, m := range w.missing {
		if m.ref == s.given && m.test == s.test.Name {
			classes = append(classes, fleet.Ask{On: m.on})
		}
	}
	return classes
}
