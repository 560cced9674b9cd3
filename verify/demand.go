// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/compat"
)

// demand is what an image asks of driver and GPU, as far as it could be told.
type demand struct {
	compat.Needs
	scope   scope
	listed  []GPUPart
	runtime string // the newest in the image
	unsure  string // why a prediction that it runs would be too much, "" if nothing is
	// unreleased says that a library of the driver is asked for, and nothing of the image says
	// how new it must be.
	unreleased bool
	badEnv     error // requirements that cannot be read
	hosts      []HostLibrary
	opens      HostLibrary // the first that a file may open while it runs

	cannotStart string
}

// demandOf puts together what the files that containers see ask for. Where the
// image's own program loads any of them, only those that it loads must run.
func demandOf(in inspected, layers *view, s scope) demand {
	n := demand{}
	n.Require, n.badEnv = compat.Requirements(in.config.Config.Env)
	n.Runtime = releaseOf(envOf(in.config.Config, "CUDA_VERSION"))
	var files []gpuNeed
	for i, facts := range layers.facts {
		for _, f := range facts.Needs {
			if f.Compat == "" && layers.deletedIn(i, f.Path) == nil {
				files = append(files, f)
			}
		}
	}
	if slices.ContainsFunc(files, func(f gpuNeed) bool { return f.part() && s.loads[f.Path] }) {
		n.scope = s
	}
	for _, f := range files {
		n.add(f)
	}
	byPath := func(a, b GPUPart) int { return cmp.Compare(a.Path, b.Path) }
	slices.SortFunc(n.listed, byPath)
	slices.SortStableFunc(n.Parts, func(a, b compat.Part) int { return cmp.Compare(a.Name, b.Name) })
	return n
}

// add counts one file.
func (n *demand) add(f gpuNeed) {
	counts := f.Path == "" || !f.Loose && n.scope.counts(f.Path)
	if f.Opens != "" && counts && n.opens.Name == "" {
		n.opens = HostLibrary{f.Opens, f.Path}
	}
	if !f.part() {
		return
	}
	if f.Unread && counts {
		n.doubt("not all device code could be read: %s", cmp.Or(f.Path, "there is too much of it"))
	}
	part := GPUPart{Path: f.Path, CUDARuntime: f.Runtime, SASS: []string{}, PTX: []string{}, Loose: f.Loose}
	if f.Cudart && f.Runtime == "" {
		part.CUDARuntime = "unknown"
		if n.Runtime == "" && counts {
			n.doubt("the release of the CUDA runtime in %s could not be told", f.Path)
		}
		f.Runtime = n.Runtime
	}
	if compat.Compare(f.Runtime, n.runtime) > 0 {
		n.runtime = f.Runtime
	}
	p := compat.Part{Name: f.Path, Runtime: f.Runtime, SASS: f.SASS}
	for _, t := range f.SASS {
		part.SASS = append(part.SASS, t.String())
	}
	for _, x := range f.PTX {
		part.PTX = append(part.PTX, fmt.Sprintf("%s (%s)", x.Target.Virtual(), x.ISA))
		p.PTX = append(p.PTX, compat.PTX{Target: x.Target, ISA: x.ISA})
	}
	if f.Path != "" {
		n.listed = append(n.listed, part)
	}
	if counts {
		n.Parts = append(n.Parts, p)
	}
}

// isPart reports whether a file is one of the parts that must run.
func (n *demand) isPart(path string) bool {
	return slices.ContainsFunc(n.Parts, func(p compat.Part) bool { return p.Name == path })
}

func (n *demand) doubt(format string, args ...any) {
	if n.unsure == "" {
		n.unsure = fmt.Sprintf(format, args...)
	}
}

// doubts adds what is known of the merged view: leak, "" for none, and libraries of the
// driver that are asked for by name where nothing says how new they must be. Which libcuda
// comes first is known for each host.
func (n *demand) doubts(leak string) {
	if leak != "" {
		n.doubt("%s", leak)
	}
	code := slices.ContainsFunc(n.Parts, func(p compat.Part) bool { return p.Runtime != "" || len(p.SASS)+len(p.PTX) > 0 })
	if code || n.Runtime != "" {
		return
	}
	const unsaid = ", and neither a file nor CUDA_VERSION says how new that must be"
	for _, h := range n.hosts {
		n.doubt("%s needs the driver's %s%s", h.By, h.Name, unsaid)
	}
	if n.opens.Name != "" {
		n.doubt("%s names the driver's %s, which it may open while it runs%s", n.opens.By, n.opens.Name, unsaid)
	}
	n.unreleased = len(n.hosts) > 0 || n.opens.Name != ""
}

// nothing reports that the image has nothing to do with CUDA.
func (n *demand) nothing() bool {
	return len(n.Parts)+len(n.Compat)+len(n.Require) == 0 && n.Runtime == "" && n.unsure == ""
}

// releaseOf cuts a version to its first two numbers, "" if it is none.
func releaseOf(version string) string {
	if !compat.IsVersion(version) {
		return ""
	}
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
