// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/spec"
	"github.com/cudabuild/cudabuild/support"
)

// clockKey is under what a context has the time of day, for tests.
type clockKey struct{}

// today is the time by which support ends, or has ended.
func today(ctx context.Context) time.Time {
	if t, set := ctx.Value(clockKey{}).(time.Time); set {
		return t
	}
	return time.Now()
}

// expand returns the cells that are selected. The error is a spec.Problems, or that none is left.
func (s *selection) expand(cmd *cobra.Command, m *matrix.Matrix) ([]matrix.Cell, error) {
	cells, err := m.Expand(s.group, s.only)
	if err != nil || !s.supported {
		return cells, err
	}
	supported, ended := bySupport(today(cmd.Context()), cells)
	if len(supported) == 0 && len(ended) > 0 {
		of, other := "of group "+s.group, "--group"
		if len(s.only) > 0 {
			of, other = "that --only selects in group "+s.group, "--only"
		}
		return nil, spec.Problems{{
			File:    s.name(),
			Message: fmt.Sprintf("--supported leaves nothing: nobody maintains any of the %s %s", counted(len(ended), "cell"), of),
			Hint:    fmt.Sprintf("'cudabuild explain %s' says why; take another %s, or leave --supported away", ended[0].ID, other),
		}}
	}
	if len(ended) > 0 && !s.told {
		s.told = true
		fmt.Fprintf(cmd.ErrOrStderr(), "cudabuild: %s left out: nobody maintains their CUDA release or OS any more\n", counted(len(ended), "cell"))
	}
	return supported, nil
}

// name is what problems call the matrix.
func (s *selection) name() string {
	if s.file == "-" {
		return "stdin"
	}
	return s.file
}

// bySupport parts cells into those that are maintained on a day, or may be, and those that are not.
func bySupport(day time.Time, cells []matrix.Cell) (supported, ended []matrix.Cell) {
	for _, c := range cells {
		if c.Ends.Past(day) {
			ended = append(ended, c)
		} else {
			supported = append(supported, c)
		}
	}
	return supported, ended
}

// endWord is an end in one word for a table: a date, "ended", or "-" if none is known.
func endWord(e *support.End) string {
	switch {
	case e == nil:
		return "-"
	case e.Date == "":
		return "ended"
	}
	return e.Date
}
