// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"

	"github.com/cudabuild/cudabuild/record"
)

func (w *workspace) recordPath() string { return filepath.Join(w.out, "run.json") }

// checkRecord makes sure that the record of a run can be written: what is there is one.
func (w *workspace) checkRecord() error {
	_, err := record.Read(w.recordPath())
	if err != nil {
		return &exitError{code: exitUnknown, err: err, hint: "the record of this run goes there: move it away, or name another folder with --out"}
	}
	return nil
}
