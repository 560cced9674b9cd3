// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cudabuild/cudabuild/update"
)

// updateDocument is what recipes update --json prints.
type updateDocument struct {
	Version       int                   `json:"version"`
	Check         bool                  `json:"check"`
	Repositories  []update.Repository   `json:"repositories"`
	Distributions []update.Distribution `json:"distributions"`
	update.Found
	Written []string `json:"written"` // files below the last --recipes DIR

	dir string
}

// news reports whether anything is new or gone.
func (d *updateDocument) news() bool {
	return d.Any() || slices.ContainsFunc(d.Distributions, func(one update.Distribution) bool { return !one.Known || len(one.Vanished) > 0 })
}

// page is what was found for people.
func (d *updateDocument) page() []byte {
	var w bytes.Buffer
	table := tabwriter.NewWriter(&w, 0, 0, 2, ' ', 0)
	if len(d.Repositories) > 0 {
		fmt.Fprintln(table, "REPOSITORY\tDATE\tSIGNED BY\tPACKAGES")
	}
	for _, r := range d.Repositories {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\n", r.Place, r.Date.Format(time.DateOnly), r.Key, r.Packages)
	}
	_ = table.Flush() // a buffer takes everything
	for _, one := range d.Distributions {
		distributionLines(&w, one)
	}
	for _, r := range d.Releases {
		fmt.Fprintf(&w, "new: CUDA %s for %s\n", r.CUDA, systemList(r.Systems))
		fmt.Fprintf(&w, "     which older drivers its cuda-compat admits is in no repository: add admits to %s when NVIDIA's Dockerfiles say so\n", r.File)
	}
	for _, g := range d.Grown {
		fmt.Fprintf(&w, "new: CUDA %s for %s too\n", g.CUDA, systemList(g.Systems))
	}
	grouped(d.Filled, func(f update.Filled) (string, update.System) {
		return fmt.Sprintf("filled: %s %s %s", f.File, f.Pin, f.Version), f.System
	}, &w)
	grouped(d.Held, func(h update.Held) (string, update.System) {
		return fmt.Sprintf("not filled: %s %s %s (%s is another state than that of %s, from which the toolkit has %s, and which is gone: write it by hand)",
			h.File, h.Pin, h.Version, h.Place, h.Date, strings.Join(h.Gone, ", ")), h.System
	}, &w)
	for _, p := range d.Partial {
		fmt.Fprintf(&w, "not whole: CUDA %s for %s: not there, or not in one version: %s\n", p.CUDA, systemList([]update.System{p.System}), strings.Join(p.Missing, ", "))
	}
	vanished := d.Vanished
	for _, one := range d.Distributions {
		vanished = append(slices.Clip(vanished), one.Vanished...)
	}
	grouped(vanished, func(v update.Vanished) (string, update.System) {
		return fmt.Sprintf("gone: %s of CUDA %s (%s)", strings.TrimSpace(v.Package+" "+v.Version), v.CUDA, v.Where), v.System
	}, &w)
	for _, name := range d.Written {
		fmt.Fprintf(&w, "wrote %s\n", filepath.Join(d.dir, name))
	}
	switch {
	case !d.news():
		fmt.Fprintln(&w, "nothing is new, and nothing that recipes pin is gone")
	case len(vanished) > 0:
		fmt.Fprintf(&w, "packages that recipes pin and that are gone: %d\n", len(vanished))
	}
	return w.Bytes()
}

func distributionLines(w *bytes.Buffer, d update.Distribution) {
	switch {
	case d.Version == "":
		fmt.Fprintf(w, "%s has no %s any more: its recipes (CUDA %s) cannot be built but from a mirror by date\n", d.OS, d.Package, strings.Join(d.Recipes, ", "))
	case d.Known:
		fmt.Fprintf(w, "%s has CUDA %s (%s %s), as its recipe says\n", d.OS, d.CUDA, d.Package, d.Version)
	default:
		fmt.Fprintf(w, "%s has CUDA %s (%s %s), its recipes say %s: write one for it in cuda/, after the last (docs/recipes.md)\n", d.OS, d.CUDA, d.Package, d.Version, strings.Join(d.Recipes, ", "))
	}
}

// grouped prints what is the same for several systems in one line.
func grouped[T any](all []T, line func(T) (string, update.System), w *bytes.Buffer) {
	var lines []string
	systems := map[string][]update.System{}
	for _, one := range all {
		text, system := line(one)
		if systems[text] == nil {
			lines = append(lines, text)
		}
		systems[text] = append(systems[text], system)
	}
	for _, text := range lines {
		fmt.Fprintf(w, "%s for %s\n", text, systemList(systems[text]))
	}
}

// systemList is OSes with their platforms: "ubi9 (linux/amd64, linux/arm64), ubuntu24.04 (linux/amd64)".
func systemList(systems []update.System) string {
	var names []string
	platforms := map[string][]string{}
	for _, s := range systems {
		if platforms[s.OS] == nil {
			names = append(names, s.OS)
		}
		platforms[s.OS] = append(platforms[s.OS], s.Platform)
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%s)", name, strings.Join(platforms[name], ", "))
	}
	return strings.Join(names, ", ")
}
