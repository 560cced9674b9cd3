// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/contents"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// mostFindings of a platform are listed: a hostile image may have ten thousand.
const mostFindings = 100

func (m *maker) platform(at, i int, c record.Cell, r verify.Report) Platform {
	p := Platform{
		Platform: r.Platform, Digest: r.Digest, Verdict: m.verdictOf(r), Findings: m.findings(r),
		Layers: []int{}, History: []contents.Step{}, Env: []string{}, From: madeFrom(c, r.Digest), Grid: []int{},
	}
	p.Requires, p.Needs = m.requires(r), []string{}
	untrusted := ""
	switch {
	case r.Digest == "":
		untrusted = "the record has no digest of the image"
	case p.Verdict == string(verify.Unknown):
		untrusted = "the image could not be verified"
	default:
		p.Needs = needs(m.report(r))
	}
	p.Grid = m.grid(at, i, r, untrusted)
	if holds, known := m.in.Contents[r.Digest]; known && r.Digest != "" {
		m.contents(&p, at, holds)
	} else {
		p.Unread = cmp.Or(m.in.Unread[r.Digest], "nobody has read the image for this report")
	}
	p.Evidence, p.EvidenceUnread = m.evidence(c, r.Digest)
	return p
}

// contents fills in what is in the image.
func (m *maker) contents(p *Platform, at int, holds contents.Image) {
	made := make([]string, len(holds.Layers))
	p.History = append(p.History, holds.History...)
	for _, s := range holds.History {
		if s.Layer >= 0 && s.Layer < len(made) {
			made[s.Layer] = s.CreatedBy
		}
	}
	p.Starts = starts(holds.Config)
	p.Env, p.Unread = orEmpty(slices.Clone(holds.Config.Env)), holds.Unlisted
	packages := make([][]Package, len(holds.Layers))
	for _, pkg := range holds.Packages {
		if pkg.Layer >= 0 && pkg.Layer < len(packages) {
			packages[pkg.Layer] = append(packages[pkg.Layer], Package{pkg.Name, pkg.Version, pkg.Arch, pkg.Manager})
		}
	}
	for i, l := range holds.Layers {
		j, known := m.layers[l.Digest]
		if !known {
			j = len(m.doc.Layers)
			m.layers[l.Digest] = j
			m.doc.Layers = append(m.doc.Layers, Layer{
				Digest: l.Digest, SizeBytes: l.SizeBytes, CreatedBy: made[i], Images: []int{}, Packages: orEmpty(packages[i]),
			})
		}
		if !slices.Contains(m.doc.Layers[j].Images, at) {
			m.doc.Layers[j].Images = append(m.doc.Layers[j].Images, at)
		}
		p.Layers = append(p.Layers, j)
	}
}

// starts is "nbody, as root, in /".
func starts(c contents.Config) string {
	command := strings.Join(slices.Concat(c.Entrypoint, c.Cmd), " ")
	return fmt.Sprintf("%s, as %s, in %s", cmp.Or(command, "nothing"), cmp.Or(c.User, "root"), cmp.Or(c.WorkingDir, "/"))
}

// findings are those of the worse of the reports on an image, what fails first if there are too many.
func (m *maker) findings(r verify.Report) []Finding {
	if fresh := m.report(r); rankOf(judged(fresh)) >= rankOf(judged(r)) {
		r = fresh
	}
	list := slices.Clone(r.Findings)
	if len(list) > mostFindings {
		slices.SortStableFunc(list, func(a, b verify.Finding) int { return cmp.Compare(weight(a.Severity), weight(b.Severity)) })
	}
	all := []Finding{}
	for _, f := range list[:min(len(list), mostFindings)] {
		rule := m.rules[f.Rule]
		found := Finding{Rule: f.Rule, Severity: string(f.Severity), Path: f.Path, Layer: -1, Detail: f.Detail, Why: sentence(rule.Reason), Fix: sentence(rule.Fix)}
		if f.Layer != nil {
			found.Layer = f.Layer.Index
		}
		all = append(all, found)
	}
	if more := len(list) - len(all); more > 0 {
		all = append(all, Finding{Severity: string(verify.SeverityInfo), Layer: -1, Detail: fmt.Sprintf("%d more findings are in the record of the run", more)})
	}
	return all
}

func weight(s verify.Severity) int {
	if i := slices.Index([]verify.Severity{verify.SeverityFail, verify.SeverityWarn}, s); i >= 0 {
		return i
	}
	return 2
}

// madeFrom is what an image was made of, and then by what.
func madeFrom(c record.Cell, digest string) []Part {
	all := []Part{}
	i := slices.IndexFunc(c.Made, func(made record.Made) bool { return made.Digest == digest && digest != "" })
	if i < 0 {
		return all
	}
	for _, p := range c.Made[i].Parts {
		part := Part{Kind: p.Kind, Name: p.Name, Digest: p.Digest}
		if !p.Date.IsZero() {
			part.Date = p.Date.UTC().Format(time.RFC3339)
		}
		all = append(all, part)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Made[i].Tools)) {
		all = append(all, Part{Kind: "tool", Name: name + " " + c.Made[i].Tools[name]})
	}
	return all
}

// requires are the requirements of an image whose configuration or needs are known.
func (m *maker) requires(r verify.Report) []Requirement {
	all := []Requirement{}
	add := func(q compat.Requirement) { all = append(all, Requirement{q.Name, q.Value, q.Words()}) }
	if m.hasNeeds(r) {
		for _, q := range m.report(r).Portability.Needs.Require {
			add(q)
		}
		return all
	}
	for _, variable := range m.in.Contents[r.Digest].Config.Env {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "NVIDIA_REQUIRE_") {
			q, _ := compat.ParseRequirement(name, value) // what is malformed says so in words
			add(q)
		}
	}
	return all
}

// needs says in sentences what an image needs of a host.
func needs(r verify.Report) []string {
	p, all := r.Portability, []string{}
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch {
	case p.MinDriver != "" && p.MinDriverWhy != "":
		say("It needs driver %s or newer: on older ones %s.", p.MinDriver, p.MinDriverWhy)
	case p.MinDriver != "":
		say("It needs driver %s or newer.", p.MinDriver)
	case p.Predictions == nil: // not even an empty list: the record does not say
		return all
	case len(p.Predictions) == 0 && len(p.Parts) == 0:
		return append(all, "It needs nothing of a driver.")
	}
	if p.CUDARuntime != "" {
		say("The newest CUDA runtime in it is %s.", p.CUDARuntime)
	}
	switch {
	case len(p.SASS)+len(p.PTX) > 0:
		say("Every part with device code has machine code for %s, and PTX for %s.", list(p.SASS), list(p.PTX))
	case slices.ContainsFunc(p.Parts, func(g verify.GPUPart) bool { return len(g.SASS)+len(g.PTX) > 0 }):
		say("There is no GPU for which all of its parts have device code.")
	}
	if r.Libcuda.Winner == verify.HostLibcuda {
		say("Programs load the host's libcuda.")
	} else if r.Libcuda.Winner != "" {
		say("Programs load a libcuda of the image's own, %s: %s.", r.Libcuda.Winner, r.Libcuda.Why)
	}
	if p.CannotStart != "" {
		say("Its program cannot start: %s.", p.CannotStart)
	}
	if p.Unbound != "" {
		say("Its program calls functions that nobody defines: %s.", p.Unbound)
	}
	if p.Unsure != "" {
		say("It cannot be told where it runs: %s.", p.Unsure)
	}
	return all
}
