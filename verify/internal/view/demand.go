// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/layer"
)

// Demand is what an image asks of driver and GPU, as far as it could be told.
type Demand struct {
	compat.Needs
	Files []layer.Code // that have something to do with the GPU, by path
	// Newest is the newest CUDA runtime in the image, "" if there is none; Needs.Runtime is what
	// CUDA_VERSION says.
	Newest string
	Unsure string // why a prediction that it runs would be too much, "" if nothing is
	// Unreleased says that a library of the driver is asked for, and nothing of the image says
	// how new it must be.
	Unreleased  bool
	Hosts       []HostLibrary // that files ask for by name
	CannotStart string        // why the image's own program cannot start, "" if nothing is known that stops it
	Unbound     string        // which functions that it calls nobody defines, "" if none is known

	scope  scope
	badEnv error       // requirements that cannot be read
	opens  HostLibrary // the first that a file may open while it runs
}

// demand puts together what the files that containers see ask for. Where the
// image's own program loads any of them, only those that it loads must run.
func (m *Image) demand(s scope) Demand {
	n := Demand{}
	n.Require, n.badEnv = compat.Requirements(m.config.Env)
	n.Runtime = releaseOf(envOf(m.config, "CUDA_VERSION"))
	var files []layer.Code
	for i, facts := range m.layers.facts {
		for _, f := range facts.Code {
			if f.Compat == "" && m.layers.deletedIn(i, f.Path) == nil {
				files = append(files, f)
			}
		}
	}
	if slices.ContainsFunc(files, func(f layer.Code) bool { return f.Part() && s.loads[f.Path] }) {
		n.scope = s
	}
	for _, f := range files {
		n.add(f)
	}
	slices.SortFunc(n.Files, func(a, b layer.Code) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortStableFunc(n.Parts, func(a, b compat.Part) int { return cmp.Compare(a.Name, b.Name) })
	return n
}

// add counts one file.
func (n *Demand) add(f layer.Code) {
	counts := f.Path == "" || !f.Loose && n.scope.counts(f.Path)
	if f.Opens != "" && counts && n.opens.Name == "" {
		n.opens = HostLibrary{f.Opens, f.Path}
	}
	if !f.Part() {
		return
	}
	if f.Unread && counts {
		n.doubt("not all device code could be read: %s", cmp.Or(f.Path, "there is too much of it"))
	}
	listed := f
	if f.Cudart && f.Runtime == "" {
		listed.Runtime = "unknown"
		if n.Runtime == "" && counts {
			n.doubt("the release of the CUDA runtime in %s could not be told", f.Path)
		}
		f.Runtime = n.Runtime
	}
	if compat.Compare(f.Runtime, n.Newest) > 0 {
		n.Newest = f.Runtime
	}
	p := compat.Part{Name: f.Path, Runtime: f.Runtime, SASS: f.SASS}
	for _, x := range f.PTX {
		p.PTX = append(p.PTX, compat.PTX(x))
	}
	if f.Path != "" {
		n.Files = append(n.Files, listed)
	}
	if counts {
		n.Parts = append(n.Parts, p)
	}
}

// isPart reports whether a file is one of the parts that must run.
func (n *Demand) isPart(path string) bool {
	return slices.ContainsFunc(n.Parts, func(p compat.Part) bool { return p.Name == path })
}

func (n *Demand) doubt(format string, args ...any) {
	if n.Unsure == "" {
		n.Unsure = fmt.Sprintf(format, args...)
	}
}

// doubts adds what is known of the merged view: leak, "" for none, and libraries of the
// driver that are asked for by name where nothing says how new they must be. Which libcuda
// comes first is known for each host.
func (n *Demand) doubts(leak string) {
	if leak != "" {
		n.doubt("%s", leak)
	}
	code := slices.ContainsFunc(n.Parts, func(p compat.Part) bool { return p.Runtime != "" || len(p.SASS)+len(p.PTX) > 0 })
	if code || n.Runtime != "" {
		return
	}
	const unsaid = ", and neither a file nor CUDA_VERSION says how new that must be"
	for _, h := range n.Hosts {
		n.doubt("%s needs the driver's %s%s", h.By, h.Name, unsaid)
	}
	if n.opens.Name != "" {
		n.doubt("%s names the driver's %s, which it may open while it runs%s", n.opens.By, n.opens.Name, unsaid)
	}
	n.Unreleased = len(n.Hosts) > 0 || n.opens.Name != ""
}

// Nothing reports that the image has nothing to do with CUDA.
func (n *Demand) Nothing() bool {
	return len(n.Parts)+len(n.Compat)+len(n.Require) == 0 && n.Runtime == "" && n.Unsure == ""
}

// releaseOf cuts a version to its first two numbers, "" if it is none.
func releaseOf(version string) string {
	if !compat.IsVersion(version) {
		return ""
	}
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// Program is the path of the image's own program, if it loads any part: then only what it loads
// must run.
func (n *Demand) Program() string { return n.scope.program }
