// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cudabuild/cudabuild/internal/hint"
)

// spares refuses to write over what is read: files, and folders with all that is in them. Names of both may be links.
func spares(out string, read []string) error {
	here := followed(out)
	for _, name := range read {
		there := followed(name)
		info, err := os.Stat(there)
		if err != nil {
			continue
		}
		below, err := filepath.Rel(there, here)
		inside := info.IsDir() && err == nil && filepath.IsLocal(below)
		if is, gone := os.Stat(here); inside || gone == nil && os.SameFile(is, info) {
			return hint.Usage(fmt.Sprintf("-o %s would write over %s, which is read", out, name), "name a file elsewhere")
		}
	}
	return nil
}

// followed is an absolute name without links, but of the file itself where there is none yet.
func followed(name string) string {
	if to, err := filepath.EvalSymlinks(name); err == nil {
		name = to
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		name = filepath.Join(dir, filepath.Base(name))
	}
	if full, err := filepath.Abs(name); err == nil {
		return full
	}
	return name
}
