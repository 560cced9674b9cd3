// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Requirement is the value of one NVIDIA_REQUIRE_* variable, read as the legacy
// runtime hook reads it. It is a list of alternatives, each a list of terms that must
// hold together. One without alternatives asks for nothing.
//
// Source: libnvidia-container src/cli/dsl.c, which is the judge of a test.
type Requirement struct {
	// Name is the variable's name, such as "NVIDIA_REQUIRE_CUDA".
	Name string
	// Value is the variable's value as it is.
	Value string
	any   [][]term
}

// ParseRequirement reads the value of the variable of that name. Alternatives are
// split at blanks and terms at commas, at nothing else: a tab or a quote is part of
// what it stands in. Empty ones do not count, but what stands behind an alternative of
// commas alone is never reached.
//
// The error is about the first term for which the hook refuses the container when it
// reaches it; on a host for which an earlier alternative holds it does not. So the
// requirement is complete with an error too.
func ParseRequirement(name, value string) (Requirement, error) {
	r := Requirement{Name: name, Value: value}
	if len(value) > maxValue {
		r.any = [][]term{{refusal("%d bytes are more than an argument of a program may have", len(value))}}
	} else {
		r.any = alternatives(value)
	}
	return r, r.malformed()
}

// maxValue is what fits behind --require= in one argument (Linux: 128 KiB with the NUL).
const maxValue = 128<<10 - len("--require=") - 1

func alternatives(value string) (either [][]term) {
	for alternative := range strings.SplitSeq(value, " ") {
		if alternative == "" {
			continue
		}
		var all []term
		for text := range strings.SplitSeq(alternative, ",") {
			if text != "" {
				all = append(all, parseTerm(text))
			}
		}
		if len(all) == 0 {
			break
		}
		either = append(either, all)
	}
	return either
}

// malformed is the first term that the hook refuses, nil if it takes all.
func (r Requirement) malformed() error {
	for _, all := range r.any {
		for _, t := range all {
			if bad := cmp.Or(t.form, t.worth); bad != nil {
				return fmt.Errorf("%s: %w", r.Name, bad)
			}
		}
	}
	return nil
}

// String returns the value in its shortest form, which ParseRequirement reads
// back to the same requirement.
func (r Requirement) String() string {
	var alternatives []string
	for _, all := range r.any {
		var terms []string
		for _, t := range all {
			terms = append(terms, t.text)
		}
		alternatives = append(alternatives, strings.Join(terms, ","))
	}
	return strings.Join(alternatives, " ")
}

// term is one comparison, such as "driver<536".
type term struct {
	text, property, op, value string
	// form is why the hook refuses it wherever it is reached, worth why it refuses it
	// where the host has the property; nil if it does not.
	form, worth error
}

// The properties that a term may compare.
const (
	propCUDA   = "cuda"   // the CUDA release that the driver reports
	propDriver = "driver" // the driver's version
	propArch   = "arch"   // the GPU's compute capability
	propBrand  = "brand"  // the GPU's brand
)

var properties = []string{propCUDA, propDriver, propArch, propBrand}

const operators = "<>=!"

// versionForm is what can be compared as a version. Dots may be repeated.
var versionForm = regexp.MustCompile(`^[0-9][0-9.]*$`)

// parseTerm reads a term. Its first run of operator characters is the comparison, and a
// lone "!" means "!=", as there.
func parseTerm(text string) term {
	start := max(0, strings.IndexAny(text, operators))
	value := strings.TrimLeft(text[start:], operators)
	t := term{text: text, property: lower(text[:start]), op: text[start : len(text)-len(value)], value: value}
	if t.op == "!" {
		t.op = "!="
	}
	t.form, t.worth = t.problems()
	return t
}

// problems says what is wrong with a term by itself and with its value.
func (t term) problems() (form, worth error) {
	_, known := comparisons[t.op]
	say := func(format string, args ...any) error {
		return fmt.Errorf("term %q: "+format, append([]any{t.text}, args...)...)
	}
	switch {
	case t.property == "":
		form = say("want property, comparison and value, such as cuda>=12.4")
	case !slices.Contains(properties, t.property):
		form = say("unknown property %q (want cuda, driver, arch or brand)", t.property)
	case !known:
		form = say("unknown comparison %q (want =, !=, <, <=, > or >=)", t.op)
	case t.value == "":
		form = say("no value behind the comparison")
	case t.property == propBrand && t.op != "=" && t.op != "!=":
		worth = say("a brand can be compared with = and != only")
	case t.property != propBrand && !versionForm.MatchString(t.value):
		worth = say("%q is no version", t.value)
	}
	return form, worth
}

// CSV says what the csv mode of NVIDIA's toolkit, that of Tegra parts, makes of the
// first term that it reads otherwise than the legacy hook; "" if there is none. It is
// case-sensitive, wants semantic versions and skips properties that it does not know.
//
// Source: nvidia-container-toolkit 1.20.1, internal/requirements.
func (r Requirement) CSV() string {
	for _, t := range slices.Concat(r.any...) {
		property := t.text[:max(0, strings.IndexAny(t.text, operators))]
		compares := (property == propCUDA || property == propArch) && t.form == nil && t.worth == nil
		switch {
		case property != "" && !slices.Contains(properties, property):
			return fmt.Sprintf("term %q is skipped", t.text)
		case compares && (!semver.MatchString(t.value) || !strings.HasPrefix(t.text[len(property):], t.op)):
			return fmt.Sprintf("term %q refuses the container", t.text)
		}
	}
	return ""
}

// refusal is a requirement's only term where the hook does not get to compare.
func refusal(format string, args ...any) term { return term{form: fmt.Errorf(format, args...)} }

// lower is strings.ToLower for ASCII alone, as C's strcasecmp compares.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
