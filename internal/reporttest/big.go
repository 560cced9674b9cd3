// SPDX-License-Identifier: Apache-2.0

package reporttest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/contents"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/support"
)

// today is the day that the documents are of.
var today = time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)

// Big makes a document as large as asked for, the same at each call: the images that [recipes] can make, OS by OS as
// `plan --group all` has them, on the newest driver branches and GPUs that [compat] knows. It panics if they are fewer than
// asked for; of driver branches it makes up newer ones.
//
// Predictions are compat's, from the release alone. Digests, sizes, packages and rows are made up, in numbers as real
// images have them: 60 packages in a root, 250 in devel, layers shared within an OS and a release.
func Big(cells, drivers, gpus int) *report.Document {
	b := &big{
		Document: report.Document{
			Version: 1, Made: today, Program: "v0.0.0-stand-in", Title: "stand-in/cuda",
			Sources: []report.Source{
				{Kind: "run", Name: "stand-in/run.json", Says: fmt.Sprintf("%d cells, built 2026-11-30", cells)},
				{Kind: "ledger", Name: "stand-in/ledger", Says: "rows of 3 hosts"},
			},
			Todo: []report.Item{}, Outside: []report.Count{}, Looser: []report.Looser{}, Trends: []report.Trend{},
		},
		layers: map[string]int{}, answers: map[string]int{}, ends: map[support.End]int{}, grids: map[string][]int{},
	}
	b.columns(drivers, gpus)
	catalog, err := recipes.Load()
	if err != nil {
		panic(err)
	}
	for _, os := range catalog.OSNames() {
		for _, cuda := range catalog.CUDAFor(os) {
			r, _ := catalog.Recipe(os, cuda)
			for _, f := range r.Release.Flavors() {
				b.image(r, string(f), r.Release.Chain(f), false)
			}
			for _, sample := range []string{"deviceQuery", "nbody"} {
				b.image(r, sample, []recipes.Flavor{r.Release.Lowest()}, true)
			}
		}
	}
	if cells > len(b.Images) {
		panic(fmt.Sprintf("%d cells, of which recipes can make only %d", cells, len(b.Images)))
	}
	b.cut(cells)
	b.summary()
	return &b.Document
}

type big struct {
	report.Document
	layers  map[string]int // by name, indexes into Layers
	answers map[string]int // by what they say, indexes into Answers
	ends    map[support.End]int
	grids   map[string][]int // of images without rows, by release and requirement
}

// columns are the driver branches and GPUs.
func (b *big) columns(drivers, gpus int) {
	majors := slices.Clone(compat.Branches())
	for len(majors) < drivers {
		majors = append(majors, majors[len(majors)-1]+5)
	}
	for _, m := range majors[len(majors)-drivers:] {
		d := report.Driver{Branch: fmt.Sprint(m), Version: fmt.Sprintf("%d.10", m), Seen: []string{}}
		d.Ends = compat.DriverEnd(d.Version)
		d.Ended = d.Ends != nil && past(*d.Ends)
		if m == 535 || m == 580 {
			d.Seen, d.Hosts = []string{fmt.Sprintf("%d.159.04", m)}, []string{"stand-in"}
		}
		b.Drivers = append(b.Drivers, d)
	}
	targets := compat.GPUs()
	for _, t := range targets[len(targets)-gpus:] {
		g := report.GPU{Arch: t.String(), Name: t.Name(), Seen: []string{}}
		if t.SM == 90 {
			g.Seen = []string{"Stand-in H100"}
		}
		b.GPUs = append(b.GPUs, g)
	}
}

// image adds one cell.
func (b *big) image(r *recipes.Recipe, kind string, chain []recipes.Flavor, sample bool) {
	os, cuda := r.OS.Name, r.Release.CUDA
	id := fmt.Sprintf("%s-%s-%s", cuda, kind, os)
	i, n := len(b.Images), number(id)
	img := report.Image{
		ID: id, OS: os, CUDA: cuda, Kind: kind, Sample: sample, State: report.Good, Status: "passed", Verdict: "pass",
		Digest: digest(id), Tags: []string{"cuda:" + id, "cuda:" + strings.Replace(id, cuda, r.Release.Version, 1)}, Ends: r.Ends(),
		Rows: []report.Row{},
	}
	img.Ended = img.Ends != nil && past(*img.Ends)
	findings := []report.Finding{}
	switch {
	case n%97 == 0:
		img.State, img.Status, img.Verdict = report.Bad, "failed", "fail"
		img.Why = "layer 2 contains usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14"
		img.Hint = "install cuda-cudart in place of cuda-drivers in recipes/toolkit/" + cuda + ".yaml"
		findings = append(findings, report.Finding{
			Rule: "driver-file", Severity: "fail", Path: "usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14", Layer: 1,
			Detail: "a file of driver 550.54.14", Why: "it belongs to the host, and breaks on the next driver", Fix: img.Hint,
		})
	case n%17 == 0:
		img.State, img.Verdict, img.Why = report.Warned, "warn", "a folder of cuda-compat lies where hooks do not look"
		findings = append(findings, report.Finding{
			Rule: "compat-aside", Severity: "warn", Path: "usr/local/cuda-" + cuda + "/compat", Layer: -1,
			Detail: "hooks look in usr/local/cuda/compat", Why: "it is never used", Fix: "link usr/local/cuda to it",
		})
	case n%211 == 0:
		img.State, img.Status, img.Digest, img.Why, img.Tags = report.Skipped, "skipped", "", "a cell below it failed", []string{}
	}
	if sample && img.Digest != "" && n%5 == 0 {
		img.Rows = rows(kind, img.Digest, n)
	}
	for _, platform := range r.Release.Platforms {
		p := report.Platform{
			Platform: platform, Digest: img.Digest, Verdict: img.Verdict, Findings: findings, EvidenceUnread: "no repository was named",
			Evidence: []report.Evidence{}, Layers: []int{}, History: []contents.Step{}, Env: []string{}, Grid: []int{},
			Requires: []report.Requirement{}, Needs: []string{}, From: []report.Part{},
		}
		if len(r.Release.Platforms) > 1 && p.Digest != "" {
			p.Digest = digest(id + platform)
		}
		if img.Digest != "" {
			b.fill(&p, r, id, chain, sample)
			p.Grid = b.grid(cuda, r.Release.RequireFor(platform), img.Rows)
		}
		img.Platforms = append(img.Platforms, p)
	}
	for _, p := range img.Platforms {
		for _, l := range p.Layers {
			img.SizeBytes += b.Layers[l].SizeBytes
			b.Layers[l].Images = appendOnce(b.Layers[l].Images, i)
		}
	}
	img.SizeBytes /= int64(max(1, len(img.Platforms)))
	img.Before = &report.Before{Digest: digest("before " + id), SizeBytes: img.SizeBytes - int64(n%1000)<<10, State: report.Good}
	b.Images = append(b.Images, img)
}

// fill says what is in the image of one platform.
func (b *big) fill(p *report.Platform, r *recipes.Recipe, id string, chain []recipes.Flavor, sample bool) {
	os, cuda := r.OS.Name, r.Release.CUDA
	p.Layers = append(p.Layers, b.layer("root "+os+p.Platform, p.Platform, 30<<20, rootPackages(os)))
	p.Env = append(p.Env, "PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	for _, f := range chain {
		at := b.layer(fmt.Sprintf("[%s cuda %s] install %s %s", os, cuda, f, p.Platform), p.Platform, flavorSize(string(f)), flavorPackages(os, cuda, string(f)))
		p.Layers = append(p.Layers, at)
	}
	if sample {
		p.Layers = append(p.Layers, b.layer("place "+id+p.Platform, p.Platform, 1<<20, nil))
	}
	for i, l := range p.Layers {
		p.History = append(p.History, contents.Step{CreatedBy: b.Layers[l].CreatedBy, Layer: i})
	}
	p.History = append(p.History, contents.Step{CreatedBy: "ENV NVIDIA_VISIBLE_DEVICES=all", Layer: -1})
	require := r.Release.RequireFor(p.Platform)
	p.Env = append(p.Env, "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility", "NVIDIA_REQUIRE_CUDA="+require,
		"CUDA_VERSION="+r.Release.Version, "LD_LIBRARY_PATH=/usr/local/cuda/lib64")
	p.Requires = append(p.Requires, report.Requirement{Name: "NVIDIA_REQUIRE_CUDA", Value: require, Words: "a driver that " + require + " admits"})
	p.Needs = append(p.Needs, "driver "+compat.FirstDriver(cuda)+" or newer for all of CUDA "+cuda, "libcuda.so.1 is the host's")
	p.From = append(p.From,
		report.Part{Kind: "base", Name: os + " " + p.Platform, Digest: digest("root " + os + p.Platform), Date: "2026-11-28"},
		report.Part{Kind: "lists", Name: os, Digest: digest("lists " + os), Date: "2026-11-28"},
		report.Part{Kind: "recipe", Name: "recipes/toolkit/" + cuda + ".yaml", Digest: digest("recipe " + cuda)})
}

// layer returns the index of a layer, which it adds if it is new.
func (b *big) layer(name, platform string, size int64, names []string) int {
	at, ok := b.layers[name]
	if ok {
		return at
	}
	at = len(b.Layers)
	b.layers[name] = at
	_, arch, _ := strings.Cut(platform, "/")
	l := report.Layer{Digest: digest(name), SizeBytes: size + int64(number(name)%100_000), CreatedBy: name, Packages: []report.Package{}}
	for _, p := range names {
		n, version, _ := strings.Cut(p, "=")
		l.Packages = append(l.Packages, report.Package{Name: n, Version: version, Arch: arch, Manager: "dpkg"})
	}
	b.Layers = append(b.Layers, l)
	return at
}

// grid answers each driver and GPU. What rows show is told for their driver and GPU alone.
func (b *big) grid(cuda, require string, rows []report.Row) []int {
	key := cuda + " " + require
	if grid, ok := b.grids[key]; ok && len(rows) == 0 {
		return grid
	}
	grid := make([]int, 0, len(b.Drivers)*len(b.GPUs))
	requirements, _ := compat.Requirements([]string{"NVIDIA_REQUIRE_CUDA=" + require})
	needs := compat.Needs{Runtime: cuda, Require: requirements}
	for _, d := range b.Drivers {
		for _, g := range b.GPUs {
			target, err := compat.ParseTarget(g.Arch)
			if err != nil {
				panic(err)
			}
			p := compat.Predict(needs, compat.Host{Driver: d.Version, GPU: target})
			a := report.Answer{How: report.Predicted, Runs: "yes", Verdict: string(p.Verdict), Why: p.Why, Rows: []int{}}
			switch {
			case p.Verdict == compat.Unknown:
				a.How, a.Runs = report.Open, ""
			case !p.Verdict.Runs():
				a.Runs = "no"
			case p.Verdict == compat.MinorCompat:
				a.Runs = "limited"
			}
			for i, row := range rows {
				if row.Discount != "" || row.Arch != g.Arch || compat.Major(row.Driver) != compat.Major(d.Version) {
					continue
				}
				a.Rows = append(a.Rows, i)
				ran := row.Result == "pass"
				if a.How = report.Seen; ran != (a.Runs != "no") {
					a.How = report.Disagrees
				}
				if a.Runs = "no"; ran {
					a.Runs = "yes"
				}
			}
			grid = append(grid, b.answer(a))
		}
	}
	if len(rows) == 0 {
		b.grids[key] = grid
	}
	return grid
}

func (b *big) answer(a report.Answer) int {
	key := fmt.Sprint(a)
	at, ok := b.answers[key]
	if !ok {
		at = len(b.Answers)
		b.answers[key] = at
		b.Answers = append(b.Answers, a)
	}
	return at
}

// rows are of one image on one host; some are of a stand-in, and some fail.
func rows(kind, of string, n int) []report.Row {
	agrees := true
	r := report.Row{
		Test: kind, Engine: "direct", Driver: "580.159.04", GPU: "Stand-in H100", Arch: "sm_90", Started: today.AddDate(0, 0, -n%30),
		Result: "pass", Agrees: &agrees, Predicted: "minor-compat", Digest: of, Libcuda: "libcuda.so.580.159.04", File: "stand-in/" + hex12(of) + ".json",
	}
	standin := r
	standin.Driver, standin.Discount = "535.159.04", "stand-in"
	if n%3 == 0 {
		agrees := false
		r.Result, r.Agrees, r.Reason, r.CUDAError = "fail", &agrees, "cudaErrorInsufficientDriver", "35"
	}
	return []report.Row{r, standin}
}

// cut leaves the first images, and of layers those that they have.
func (b *big) cut(cells int) {
	b.Images = b.Images[:cells]
	kept, at := []report.Layer{}, map[int]int{}
	for i, l := range b.Layers {
		l.Images = slices.DeleteFunc(l.Images, func(image int) bool { return image >= cells })
		if len(l.Images) > 0 {
			at[i] = len(kept)
			kept = append(kept, l)
		}
	}
	b.Layers = kept
	for i := range b.Images {
		for _, p := range b.Images[i].Platforms {
			for j, l := range p.Layers {
				p.Layers[j] = at[l]
			}
		}
	}
}

func past(e support.End) bool { return e.Date < today.Format(time.DateOnly) }

func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func hex12(digest string) string { return strings.TrimPrefix(digest, "sha256:")[:12] }

// number is the same number for the same name.
func number(name string) int {
	sum := sha256.Sum256([]byte(name))
	return int(sum[0])<<16 | int(sum[1])<<8 | int(sum[2])
}

func appendOnce(list []int, i int) []int {
	if len(list) > 0 && list[len(list)-1] == i {
		return list
	}
	return append(list, i)
}
