// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
	"github.com/cudabuild/cudabuild/verify/internal/view"
)

// maxFindings bounds those of one image that are listed: as many again may deny it.
const maxFindings = 10_000

// findings returns those that lie in layers, sorted, never nil: what all has found, and where a
// layer is not what manifest and config say.
func (in inspected) findings(facts []*layer.Facts, all *view.Image) []Finding {
	findings, dropped := []Finding{}, 0
	for i, f := range facts {
		name := in.name(i)
		for _, found := range append(in.layers[i].odd(f, i), all.InLayer(i)...) {
			finding := in.finding(found)
			if n := len(findings); n >= 2*maxFindings || n >= maxFindings && finding.Severity != SeverityFail {
				dropped++
				continue
			}
			finding.Layer = name // one for all of a layer
			findings = append(findings, finding)
		}
	}
	if dropped > 0 {
		findings = append(findings, in.finding(unreadable(len(facts)-1, "%d more findings are not listed", dropped)))
	}
	slices.SortStableFunc(findings, compareFindings)
	return slices.CompactFunc(findings, func(a, b Finding) bool { return compareFindings(a, b) == 0 && a.Detail == b.Detail })
}

// whole returns the findings about the image as a whole, and that it is not for Linux: then no rule
// knows its files. One that does not say what it is for is taken to be.
func (in inspected) whole(whole []view.Found) (findings []Finding) {
	if in.config.OS != "" && in.config.OS != "linux" {
		whole = slices.Insert(whole, 0, unreadable(view.OfImage, "an image for %s: only Linux images can be judged", in.platform))
	}
	for _, f := range whole {
		findings = append(findings, in.finding(f))
	}
	return findings
}

func (in inspected) finding(f view.Found) Finding {
	return Finding{
		Rule: f.Rule, Severity: rules.Load().Severity(f.Rule), Path: f.Path,
		Layer: in.name(f.Layer), Detail: f.Detail, DeletedIn: f.DeletedIn,
	}
}

// odd returns where layer i is not what is said of it.
func (r layerRef) odd(f *layer.Facts, i int) (all []view.Found) {
	if f.DiffID != "" && f.DiffID != r.diffID {
		all = append(all, unreadable(i, "content has digest %s, the config says %s", f.DiffID, r.diffID))
	}
	if r.Foreign {
		return all
	}
	if f.Complete() && f.Size != r.Size {
		all = append(all, unreadable(i, "the blob has %d bytes, the manifest says %d", f.Size, r.Size))
	}
	if rule, detail := oddType(r.mediaType, f.Encoding); rule != "" {
		all = append(all, view.Found{Hit: layer.Hit{Rule: rule, Detail: detail}, Layer: i})
	}
	return all
}

func unreadable(i int, format string, args ...any) view.Found {
	return view.Found{Hit: layer.Hit{Rule: rules.Unreadable, Detail: fmt.Sprintf(format, args...)}, Layer: i}
}

func compareFindings(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Layer.Index, b.Layer.Index), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Detail, b.Detail))
}
