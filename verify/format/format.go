// SPDX-License-Identifier: Apache-2.0

// Package format writes what [verify.Verifier] found in the forms that other
// programs read: our own JSON document, SARIF 2.1.0 for code scanning, JUnit XML for
// CI servers, in-toto statements for signing. [Write] is all there is to call.
//
// Each form says the same: an image that failed is an error, and so is one of which
// the verdict is unknown, because every consumer must fail closed. Same reports,
// same bytes: nothing here reads a clock.
package format

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/support"
	"github.com/cudabuild/cudabuild/verify"
)

// writers are the formats. version is that of cudabuild.
var writers = map[string]func(w io.Writer, version string, images []verify.Report) error{
	"json": writeJSON, "sarif": writeSARIF, "junit": writeJUnit, "in-toto": writeInToto,
}

// Names returns what [Write] can write, sorted.
func Names() []string {
	return []string{"in-toto", "json", "junit", "sarif"}
}

// Write writes images in one of the forms that [Names] lists. version is that of cudabuild, which
// SARIF asks for.
func Write(w io.Writer, format, version string, images []verify.Report) error {
	write, ok := writers[format]
	if !ok {
		return fmt.Errorf("format %q: want one of %s", format, strings.Join(Names(), ", "))
	}
	return write(w, version, images)
}

// Document is our own form, what verify --json prints.
type Document struct {
	Version int             `json:"version"` // 1
	Images  []verify.Report `json:"images"`  // never null
	// DriverEnds is until when NVIDIA maintains the driver branches of the predictions, where that is
	// known, each once; never null. It changes no verdict.
	DriverEnds []support.End `json:"driver_ends"`
}

func driverEnds(images []verify.Report) []support.End {
	ends := []support.End{}
	for _, image := range images {
		for _, p := range image.Portability.Predictions {
			if end := compat.DriverEnd(p.Driver); end != nil && !slices.Contains(ends, *end) {
				ends = append(ends, *end)
			}
		}
	}
	return ends
}

func writeJSON(w io.Writer, _ string, images []verify.Report) error {
	return indented(w, Document{1, append([]verify.Report{}, images...), driverEnds(images)})
}

func indented(w io.Writer, document any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}

// unreadable is the rule about content that could not be examined: only a warning
// to the eye, but it makes the verdict unknown, and that is an error to machines.
const unreadable = "unreadable"

// byRule returns the findings of one rule.
func byRule(r verify.Report, rule string) []verify.Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f verify.Finding) bool { return f.Rule != rule })
}

// where says in words what a finding is about.
func where(f verify.Finding) string {
	path := f.Path
	switch {
	case f.Layer == nil:
		return cmp.Or(path, "the image")
	case path == "":
		path = "the whole layer"
	}
	return fmt.Sprintf("%s in layer %d", path, f.Layer.Index)
}

// sentence is one finding in words.
func sentence(f verify.Finding) string {
	s := where(f) + ": " + f.Detail
	if f.DeletedIn != nil {
		s += fmt.Sprintf("; hidden by layer %d, shipped all the same", *f.DeletedIn)
	}
	if e := f.Exception; e != nil {
		s += fmt.Sprintf("; excepted until %s by %s: %s", e.Expires, e.Owner, e.Reason)
	}
	return s
}
