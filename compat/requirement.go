// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Requirement is the value of one NVIDIA_REQUIRE_* variable, read. It is a list of
// alternatives, each a list of terms that must hold together. One without
// alternatives asks for nothing.
//
// Source: NVIDIA Container Toolkit documentation, "Constraints": a blank between
// terms means or, a comma and.
type Requirement struct {
	// Name is the variable's name, such as "NVIDIA_REQUIRE_CUDA".
	Name string
	any  [][]term
}

// term is one comparison, such as "driver<536".
type term struct{ property, op, value string }

// The properties that a term may compare.
const (
	propCUDA   = "cuda"   // the CUDA release that the driver reports
	propDriver = "driver" // the driver's version
	propArch   = "arch"   // the GPU's compute capability
	propBrand  = "brand"  // the GPU's brand
)

var termForm = regexp.MustCompile(`^([A-Za-z_]+)(=|!=|<=|<|>=|>)([A-Za-z0-9.]+)$`)

// ParseRequirement reads the value of the variable of that name. Blanks at the
// ends and between alternatives do not matter. A property other than cuda, driver,
// arch and brand, all in lower case, is an error: NVIDIA's two implementations treat
// it differently, one refuses the container and the other skips the term.
func ParseRequirement(name, value string) (Requirement, error) {
	r := Requirement{Name: name}
	for alternative := range strings.FieldsSeq(value) {
		var all []term
		for text := range strings.SplitSeq(alternative, ",") {
			t, err := parseTerm(text)
			if err != nil {
				return Requirement{}, fmt.Errorf("%s: %w", name, err)
			}
			all = append(all, t)
		}
		r.any = append(r.any, all)
	}
	return r, nil
}

func parseTerm(text string) (term, error) {
	m := termForm.FindStringSubmatch(text)
	if m == nil {
		return term{}, fmt.Errorf("term %q: want property, comparison and value, such as cuda>=12.4", text)
	}
	t := term{m[1], m[2], m[3]}
	switch t.property {
	case propCUDA, propDriver, propArch:
		if !IsVersion(t.value) {
			return term{}, fmt.Errorf("term %q: %q is no version", text, t.value)
		}
	case propBrand:
		if t.op != "=" && t.op != "!=" {
			return term{}, fmt.Errorf("term %q: a brand can be compared with = and != only", text)
		}
	default:
		return term{}, fmt.Errorf("term %q: unknown property %q (want cuda, driver, arch or brand)", text, t.property)
	}
	return t, nil
}

// String returns the value in its shortest form, which ParseRequirement reads
// back to the same requirement.
func (r Requirement) String() string {
	var alternatives []string
	for _, all := range r.any {
		var terms []string
		for _, t := range all {
			terms = append(terms, t.String())
		}
		alternatives = append(alternatives, strings.Join(terms, ","))
	}
	return strings.Join(alternatives, " ")
}

func (t term) String() string { return t.property + t.op + t.value }

// Requirements returns what an image's environment ("NAME=value" strings) asks of
// its host, sorted by name: each NVIDIA_REQUIRE_* variable that is not empty, and
// for an image that has CUDA_VERSION but no NVIDIA_REQUIRE_CUDA the CUDA release
// itself, as the runtime hook reads it. It returns none if NVIDIA_DISABLE_REQUIRE is
// true. NVIDIA_REQUIRE_JETPACK means something else and is left out. The error joins
// the variables that cannot be read; the others are returned all the same.
func Requirements(env []string) ([]Requirement, error) {
	values := map[string]string{}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	if off, err := strconv.ParseBool(values["NVIDIA_DISABLE_REQUIRE"]); err == nil && off {
		return nil, nil
	}
	if values[requireCUDA] == "" && IsVersion(values["CUDA_VERSION"]) {
		values[requireCUDA] = "cuda>=" + minor(values["CUDA_VERSION"])
	}
	var requirements []Requirement
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !strings.HasPrefix(name, "NVIDIA_REQUIRE_") || strings.HasPrefix(name, "NVIDIA_REQUIRE_JETPACK") {
			continue
		}
		r, err := ParseRequirement(name, values[name])
		if err != nil {
			problems = append(problems, err)
		} else if len(r.any) > 0 {
			requirements = append(requirements, r)
		}
	}
	return requirements, errors.Join(problems...)
}

const requireCUDA = "NVIDIA_REQUIRE_CUDA"
