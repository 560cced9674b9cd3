// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// config is what images have in their configuration beside what cudabuild sets: the file's
// own, and that of an entry of its cells.
type config struct {
	Labels map[spec.Word]spec.Word `yaml:"labels" keys:"label" form:"value" doc:"Labels of the images, such as org.opencontainers.image.source and vendor. Those that cudabuild sets itself are refused."`
	Env    map[spec.Word]spec.Word `yaml:"env" keys:"variable" form:"value" doc:"Variables of the images. Values are taken as they are: $ means nothing. What decides which driver and GPUs a container gets is refused."`
}

// some is what some cells have.
type some struct {
	At   spec.Place  `doc:"What some images have beside what all have."`
	Only []spec.Word `yaml:"only,required,one" form:"glob" doc:"Which: globs on cell IDs."`
	config
}

// Bounds of what is compared with all cells, and of what registries and runtimes take.
const (
	maxSettings = 500
	maxName     = 255
	maxValue    = 4096 // bytes
)

// setting is a label or a variable, and the cells that have it.
type setting struct {
	kind        string // as the file calls it
	name, value spec.Word
	cells       []Cell
}

// configure gives every cell the labels and variables that the file has for it, and reports
// those that a cell has by two places or by its recipe.
func (m *Matrix) configure(at *spec.File, f file) {
	type slot struct{ kind, name, cell string }
	by := map[slot]setting{}
	for _, s := range m.settings(at, f) {
		for _, cell := range s.cells {
			here := slot{s.kind, s.name.Text, cell.ID}
			if other, twice := by[here]; twice {
				at.At(s.name.Place, "keep one of the two", "%s: %s has %s by %s:%d:%d already", s.kind, cell.ID, s.name.Text, at.Path, other.name.Line, other.name.Column)
				break
			}
			if where := setBy(cell, s); where != "" {
				at.At(s.name.Place, "take it out, or give it to other cells with only", "%s: the recipe of %s sets %s (%s)", s.kind, cell.ID, s.name.Text, where)
				break
			}
			by[here] = s
		}
	}
	labels, env := map[string]map[string]string{}, map[string]map[string]string{}
	for here, s := range by {
		of := labels
		if here.kind == "env" {
			of = env
		}
		if of[here.cell] == nil {
			of[here.cell] = map[string]string{}
		}
		of[here.cell][here.name] = s.value.Text
	}
	for _, cells := range m.cells {
		for i, cell := range cells {
			cells[i].Labels, cells[i].Env = labels[cell.ID], env[cell.ID]
		}
	}
}

// settings returns what the file says, in its order.
func (m *Matrix) settings(at *spec.File, f file) []setting {
	all := m.index()
	var list []setting
	add := func(c config, cells []Cell) {
		for name, value := range c.Labels {
			list = append(list, setting{"labels", name, value, cells})
		}
		for name, value := range c.Env {
			list = append(list, setting{"env", name, value, cells})
		}
	}
	add(f.config, all.cells)
	globs := 0
	for _, s := range f.Cells {
		named := map[string]bool{}
		for _, glob := range s.Only {
			found := all.matching(glob)
			if len(found) == 0 {
				all.nothing(at, "cells", glob)
			}
			for _, cell := range found {
				named[cell.ID] = true
			}
		}
		globs += len(s.Only)
		if len(s.Labels)+len(s.Env) == 0 {
			at.At(s.At, "write {only: '*-devel-*', labels: {...}, env: {...}}", "cells: an entry has neither labels nor env")
		}
		add(s.config, slices.DeleteFunc(slices.Clone(all.cells), func(c Cell) bool { return !named[c.ID] }))
	}
	if len(list) > maxSettings || globs > maxGlobs {
		at.At(at.Find("cells"), "a glob such as '*-debian13' names many cells at once", "%d labels and variables and %d globs, more than %d or %d", len(list), globs, maxSettings, maxGlobs)
		return nil
	}
	slices.SortFunc(list, func(a, b setting) int {
		return cmp.Or(cmp.Compare(a.name.Line, b.name.Line), cmp.Compare(a.name.Column, b.name.Column))
	})
	return list
}

// setBy is where the recipe of a cell sets a variable of that name, "" if it does not.
func setBy(cell Cell, s setting) string {
	if s.kind != "env" {
		return ""
	}
	top := cell.Flavor
	if cell.Sample != "" {
		top, _ = cell.Recipe.Release.SampleOn(cell.Sample) // checked
	}
	for _, platform := range cell.Platforms {
		release := cell.Recipe.Release.On(platform)
		for _, flavor := range release.Chain(top) {
			if _, set := release.Layers[flavor].Env[s.name.Text]; set {
				file, _ := release.Where(string(flavor))
				return file
			}
		}
	}
	return ""
}

// labelForm takes what Docker and Kubernetes write, too: com.example/team.
var labelForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$`)

// Labels under org.opencontainers. are OCI's: those that users may set, and those that
// cudabuild sets, which package plan and llb do.
// Source: OCI image specification 1.1, "Pre-Defined Annotation Keys".
var (
	usersLabels = []string{
		"org.opencontainers.image.authors", "org.opencontainers.image.description", "org.opencontainers.image.documentation",
		"org.opencontainers.image.licenses", "org.opencontainers.image.revision", "org.opencontainers.image.source",
		"org.opencontainers.image.url", "org.opencontainers.image.vendor",
	}
	ownLabels = []string{
		"org.opencontainers.image.base.digest", "org.opencontainers.image.base.name", "org.opencontainers.image.created",
		"org.opencontainers.image.title", "org.opencontainers.image.version",
	}
)

func checkLabel(text, what string) (message, hint string) {
	switch {
	case len(text) > maxName || !labelForm.MatchString(text):
		return fmt.Sprintf("%s: %q is not the name of a label", what, text), fmt.Sprintf("letters, digits and . _ / -, a letter or digit at both ends, %d characters at most: com.example.team", maxName)
	case slices.Contains(ownLabels, text):
		return fmt.Sprintf("%s: cudabuild sets %s itself", what, text), "take it out; these are free: " + strings.Join(usersLabels, ", ")
	case strings.HasPrefix(text, "org.opencontainers.") && !slices.Contains(usersLabels, text):
		return fmt.Sprintf("%s: OCI has no %q, and keeps what begins like that for itself", what, text), suggest.Hint(text, usersLabels)
	}
	return "", ""
}

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// kept are variables that a matrix does not set, whatever the recipe says, and why.
var kept = []struct {
	names *regexp.Regexp
	why   string
}{
	{regexp.MustCompile(`^NVIDIA_`), "by it the runtime hook decides where a container starts, and which GPUs and driver libraries it gets"},
	{regexp.MustCompile(`^CUDA_`), "the driver reads such variables, or they say which release the image has"},
	{regexp.MustCompile(`^LD_`), "it decides whose libcuda programs load"},
	{regexp.MustCompile(`^PATH$`), "it is made of what the layers have"},
	{regexp.MustCompile(`^LIBRARY_PATH$`), "by it programs are linked to the stubs of the driver"},
}

// free are variables that only tools read which compile.
var free = []string{"CUDA_HOME", "CUDA_PATH"}

func checkVariable(text, what string) (message, hint string) {
	if len(text) > maxName || !variableForm.MatchString(text) {
		return fmt.Sprintf("%s: %q is not the name of a variable", what, text), fmt.Sprintf("letters, digits and _, no digit first, %d characters at most", maxName)
	}
	for _, k := range kept {
		if k.names.MatchString(text) && !slices.Contains(free, text) {
			return fmt.Sprintf("%s: %s is not the matrix's to set: %s", what, text, k.why), "give it to the container that needs it, or build an image of your own on ours: docs/flavors.md"
		}
	}
	return "", ""
}

// valueForm is one line without control characters.
var valueForm = regexp.MustCompile(`^[^\x00-\x1f\x7f-\x9f]*$`)

func checkValue(text, what string) (message, hint string) {
	switch {
	case len(text) > maxValue:
		return fmt.Sprintf("%s: it has %d bytes", what, len(text)), fmt.Sprintf("%d at most", maxValue)
	case strings.ContainsFunc(text, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }):
		return fmt.Sprintf("%s: %q has characters that cannot be seen", what, text), "one line, without tabs"
	}
	return "", ""
}

// configForms are those of the fields of config.
func configForms() map[string]spec.Form {
	return map[string]spec.Form{
		"label":    {Pattern: labelForm, Max: maxName, Check: checkLabel},
		"variable": {Pattern: variableForm, Max: maxName, Check: checkVariable},
		"value":    {Pattern: valueForm, Max: maxValue, Check: checkValue},
	}
}
