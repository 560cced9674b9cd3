// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/recipes"
)

// step makes a flavor out of the one below it.
type step struct {
	Flavor, Below string
	// Scripts are those for each architecture, one if all have the same.
	Scripts []variant[string]
}

// variant is what an architecture needs.
type variant[T any] struct {
	Suffix string // of the stage; "" if all architectures have the same
	What   T
}

// variants returns what each platform has, or the one thing that all have.
func variants[T any](platforms []string, what []T, same func(a, b T) bool) []variant[T] {
	var all []variant[T]
	for i, platform := range platforms {
		all = append(all, variant[T]{"-" + arch(platform), what[i]})
	}
	if !slices.ContainsFunc(what, func(other T) bool { return !same(other, what[0]) }) {
		return []variant[T]{{"", what[0]}}
	}
	return all
}

// newStep is a step that installs; the plan of each of the platforms has its own.
func newStep(platforms []string, planned []plan.Step) step {
	install := "EPOCH=$(date +%s) sh -eu " + scriptPath + "\n" // cudabuild gives files the date of the repositories
	if planned[0].Installer == "" {
		install = ""
	}
	var texts []string
	for _, s := range planned {
		texts = append(texts, script(variables(s.Env), install+s.Script))
	}
	below := planned[0].Below
	if below == "" {
		below = "root"
	}
	return step{planned[0].Name, below, variants(platforms, texts, func(a, b string) bool { return a == b })}
}

// scriptPath is where an installation sees the manager's script.
const scriptPath = "/run/cudabuild/install"

// mounts are the flags of RUN that give an installation on any platform what the plan
// has it see on one.
func mounts(s plan.Step, platform string) []string {
	flags := []string{
		"--mount=type=tmpfs,target=/run",
		"--mount=type=bind,from=manager,source=/install,target=" + scriptPath,
	}
	for _, m := range s.Mounts {
		switch m.Kind {
		case recipes.ListsMount:
			flags = append(flags, "--mount=type=bind,from=lists,source=/lists,target="+m.Path)
		case recipes.CacheMount:
			id := strings.Replace(m.Cache, platform, "${TARGETPLATFORM}", 1)
			flags = append(flags, "--mount=type=cache,sharing=locked,id="+id+",target="+m.Path)
		default:
			flags = append(flags, "--mount=type=tmpfs,target="+m.Path)
		}
	}
	return flags
}
