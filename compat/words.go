// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"fmt"
	"strings"
)

// mostAlternatives are said in words; NVIDIA's own values have up to 40.
const mostAlternatives = 3

// Words says what a requirement asks for: "a driver of 525.60.13 or newer". What the hook refuses is quoted as it is, and of
// many alternatives the first ones are said and the others counted.
func (r Requirement) Words() string {
	var either []string
	for _, all := range r.any {
		var words []string
		for _, t := range all {
			words = append(words, t.words())
		}
		either = append(either, strings.Join(words, " and "))
	}
	switch more := len(either) - mostAlternatives; {
	case len(either) == 0:
		return "nothing"
	case more > 1:
		return fmt.Sprintf("%s, or one of %d other combinations", strings.Join(either[:mostAlternatives], ", or "), more)
	}
	return strings.Join(either, ", or ")
}

func (t term) words() string {
	subject := map[string]string{propDriver: "a driver", propCUDA: "a driver for CUDA", propArch: "a GPU of compute capability", propBrand: "a GPU of brand"}[t.property]
	order, known := map[string]string{"=": "%s", "!=": "other than %s", ">=": "%s or newer", ">": "newer than %s", "<=": "%s or older", "<": "older than %s"}[t.op]
	if !known || t.form != nil || t.worth != nil {
		return fmt.Sprintf("%q, which hooks refuse", t.text)
	}
	if t.property == propArch {
		order = strings.NewReplacer("newer", "more", "older", "less").Replace(order)
	}
	of := " "
	if t.property == propDriver && !strings.HasSuffix(order, "than %s") {
		of = " of "
	}
	return subject + of + fmt.Sprintf(order, t.value)
}
