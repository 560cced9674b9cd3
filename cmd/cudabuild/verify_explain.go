// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/verify"
)

// explainDocument is what verify --explain --json prints.
type explainDocument struct {
	Version int                  `json:"version"` // 1
	Images  []verify.Explanation `json:"images"`  // never null
}

// explainPath prints what each layer says about one path. It gives no verdict, so
// the exit code tells only whether the images could be read.
func (f *verifyFlags) explainPath(cmd *cobra.Command, verifier *verify.Verifier, refs []string) error {
	found, problem := overImages(cmd.Context(), f, refs, unexplained, func(ctx context.Context, s image.Source) (verify.Explanation, error) {
		return verifier.Explain(ctx, s.Ref, s.Image, f.explain)
	})
	for _, e := range found {
		if e.Unread != "" {
			problem = errors.Join(problem, printable{fmt.Errorf("%s: %s", e.Ref, e.Unread)})
		}
	}
	if f.format == "json" {
		document := explainDocument{1, append([]verify.Explanation{}, found...)}
		if err := plain.JSON(cmd.OutOrStdout(), document); err != nil {
			return &exitError{code: exitUnknown, err: err}
		}
		return verifyError(nil, problem)
	}
	var page bytes.Buffer
	for i, e := range found {
		if i > 0 {
			page.WriteByte('\n')
		}
		explanation(&page, e)
	}
	if _, err := cmd.OutOrStdout().Write(page.Bytes()); err != nil {
		return &exitError{code: exitUnknown, err: err}
	}
	return verifyError(nil, problem)
}

// unexplained stands for an image that could not be read.
func unexplained(ref string, err error) verify.Explanation {
	return verify.Explanation{Ref: ref, Layers: []verify.PathLayer{}, Error: err.Error()}
}

func explanation(w *bytes.Buffer, e verify.Explanation) {
	if e.Error != "" {
		fmt.Fprintf(w, "%s\n  could not be read: %s\n", oneLine(e.Ref), why(e.Ref, e.Error))
		return
	}
	fmt.Fprintf(w, "%s in %s\n  %s, %s\n", oneLine(e.Path), oneLine(e.Ref), e.Digest, oneLine(e.Platform))
	for _, l := range e.Links {
		fmt.Fprintf(w, "  %s is a link to %s\n", oneLine(l.Path), oneLine(l.Target))
	}
	if e.Real != e.Path {
		fmt.Fprintf(w, "  so it is %s\n", oneLine(e.Real))
	}
	for _, l := range e.Layers {
		layerHead(w, l.Layer)
		for _, entry := range l.Entries {
			if entry.Path != e.Real {
				fmt.Fprintf(w, "    the layer has it as %s\n", oneLine(entry.Path))
			}
			fmt.Fprintf(w, "    %s\n", describe(entry))
			if entry.SHA256 != "" {
				fmt.Fprintf(w, "    sha256   %s\n", entry.SHA256)
			}
			if entry.ELF != nil {
				fmt.Fprintf(w, "    ELF      %s\n", describeELF(*entry.ELF))
			}
		}
		if l.Package != "" {
			fmt.Fprintf(w, "    package  %s\n", oneLine(l.Package))
		}
		if l.Hides != "" {
			fmt.Fprintf(w, "    hides what the layers below have here: %s\n", oneLine(l.Hides))
		}
		for _, f := range l.Findings {
			finding(w, f)
		}
	}
	switch {
	case e.Unread != "" && !e.Visible:
		fmt.Fprintf(w, "\n  whether a container sees it could not be told: %s\n", foreign(e.Unread))
	case len(e.Layers) == 0:
		w.WriteString("\n  no layer says anything about it\n")
	case e.Visible:
		w.WriteString("\n  a container sees it\n")
	default:
		w.WriteString("\n  a container does not see it\n")
	}
}

func describe(e verify.PathEntry) string {
	parts := []string{e.Type}
	if e.Type == "file" {
		parts = append(parts, fmt.Sprintf("%d bytes", e.Size))
	}
	if e.Target != "" {
		parts[0] += " to " + oneLine(e.Target)
	}
	return strings.Join(append(parts, e.Mode, oneLine(e.Owner)), ", ")
}

func describeELF(e verify.ELF) string {
	return fmt.Sprintf("SONAME %s, %d exports, %s of code, needs %s", oneLine(cmp.Or(e.SOName, "(none)")), e.Exports,
		megabytes(int64(e.ExecBytes)), oneLine(cmp.Or(strings.Join(e.Needed, " "), "nothing")))
}
