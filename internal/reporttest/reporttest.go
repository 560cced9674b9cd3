// SPDX-License-Identifier: Apache-2.0

package reporttest

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/contents"
	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/support"
	"github.com/cudabuild/cudabuild/verify"
)

// Today is the day of the example.
var Today = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)

// Document is the example.
func Document() *report.Document { return report.New(Run()) }

// Run is what the example is made of. Each call makes it anew.
func Run() report.Input {
	in := report.Input{
		Today: Today, Program: "0.2.0", Title: "cuda",
		Sources: []report.Source{
			{Kind: "run", Name: "out/run.json"},
			{Kind: "ledger", Name: "example-ledger"},
			{Kind: "registry", Name: "registry.example/cuda", Says: "2 images with evidence"},
			{Kind: "since", Name: "last-week/run.json"},
			{Kind: "images", Name: "out/images", Says: "11 of 13 images read", Problem: "out/images: 12.4-devel-debian13: layer 3: unexpected EOF"},
		},
		Run:      &record.Run{Version: 1, Inputs: []record.Input{{OS: "debian13", Platform: "linux/amd64", Date: Today.AddDate(0, 0, -2)}}},
		Contents: map[string]contents.Image{}, Reports: map[string]verify.Report{}, Unread: map[string]string{}, Ends: map[string]*support.End{},
		Evidence: map[string]attest.Report{}, NoEvidence: "not in registry.example/cuda",
	}
	in.Run.Cells = cells()
	in.Run.Sum()
	for _, c := range in.Run.Cells {
		for _, r := range c.Images {
			if r.Error == "" {
				in.Reports[r.Digest] = r
				in.Contents[r.Digest] = holds(c.ID, r)
			}
		}
	}
	unread := Digest("12.4-devel-debian13 linux/amd64")
	delete(in.Contents, unread)
	in.Unread[unread] = "out/images: 12.4-devel-debian13: layer 3: unexpected EOF"
	end := func(date, what string, ids ...string) {
		for _, id := range ids {
			in.Ends[id] = &support.End{Date: date, What: what, Source: "made up for this example"}
		}
	}
	end("2026-08-31", "Debian 11", "11.2-nbody-debian11")
	end("2027-01-31", "CUDA 11.8", "11.8-base-debian12", "11.8-runtime-debian12", "11.8-nbody-debian12")
	end("2030-06-30", "Debian 13", "12.4-base-debian13", "12.4-runtime-debian13", "12.4-devel-debian13", "12.4-nbody-debian13", "12.4-deviceQuery-debian13")
	end("", "CUDA 9.0", "9.0-base-ubuntu16.04")
	in.Ledgers = []report.Ledger{{Name: "example-ledger", Rows: observations()}}
	in.Evidence[Digest("12.4-runtime-debian13 linux/amd64")] = attached("12.4-runtime-debian13", attest.Valid)
	in.Evidence[Digest("11.8-base-debian12 linux/amd64")] = attached("11.8-base-debian12", attest.Stale)
	in.Before, in.Changes = before(in.Run), changes()
	return in
}

// Digest is that of something with a name.
func Digest(name string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(name))) }

// cells are one or more of each state.
func cells() []record.Cell {
	base := cell("12.4-base-debian13", nil, "linux/amd64", "linux/arm64")
	base.Digest = Digest("index of 12.4-base-debian13")
	devel := cell("12.4-devel-debian13", nil, "linux/amd64")
	devel.Images[0].Verdict = verify.Warn
	devel.Images[0].Findings = []verify.Finding{{
		Rule: "stub-search-path", Severity: verify.SeverityWarn, Path: "usr/local/bin/train", Layer: &verify.Layer{Index: 1},
		Detail: "its RUNPATH names usr/local/cuda-12.4/lib64/stubs, which holds stubs",
	}}
	leaks := cell("11.8-runtime-debian12", nil, "linux/amd64")
	leaks.Status, leaks.Stage, leaks.Reason = record.Failed, record.StageVerify, "driver-library usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14 in layer 2"
	leaks.Hint = "install the CUDA libraries without the driver packages"
	leaks.Images[0].Verdict = verify.Fail
	leaks.Images[0].Findings = []verify.Finding{{
		Rule: "driver-library", Severity: verify.SeverityFail, Path: "usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14",
		Layer: &verify.Layer{Index: 1}, Detail: "libcuda of driver 550.54.14 (by file name)",
	}}
	unread := cell("9.0-base-ubuntu16.04", nil, "linux/amd64")
	unread.Images[0] = verify.Report{
		Ref: unread.Images[0].Ref, Digest: unread.Digest, Platform: "linux/amd64", Verdict: verify.Unknown, Findings: []verify.Finding{}, Error: "layer 1: unexpected EOF",
	}
	unsure := cell("13.0-runtime-ubuntu24.04", nil, "linux/amd64") // where it runs nobody can tell
	p := &unsure.Images[0].Portability
	p.Unsure = "the device code of usr/lib/x86_64-linux-gnu/libcublas.so.13 could not be read"
	for i := range p.Predictions {
		if p.Predictions[i].Verdict.Runs() {
			p.Predictions[i].Prediction = compat.Prediction{Verdict: compat.Unknown, Why: p.Unsure}
		}
	}
	return []record.Cell{
		base,
		cell("12.4-runtime-debian13", nil, "linux/amd64"),
		devel,
		cell("12.4-nbody-debian13", code(), "linux/amd64"),
		cell("12.4-deviceQuery-debian13", nil, "linux/amd64"),
		cell("11.8-base-debian12", nil, "linux/amd64"),
		leaks,
		lost("11.8-nbody-debian12", record.Skipped, "", "11.8-runtime-debian12 failed"),
		lost("12.8-base-ubuntu22.04", record.Failed, record.StageBuild, "[ubuntu22.04 cuda 12.8] install cuda-cudart-12-8: 404 Not Found"),
		lost("12.8-nbody-ubuntu22.04", record.Cancelled, "", "interrupted"),
		unread,
		cell("11.2-nbody-debian11", code(), "linux/amd64"),
		cell("13.0-base-ubuntu24.04", nil, "linux/amd64"),
		cell("13.0-nbody-ubuntu24.04", code()[2:], "linux/amd64"),
		unsure,
	}
}

// lost is a cell that was not built.
func lost(id string, status record.Status, stage, reason string) record.Cell {
	return record.Cell{ID: id, Status: status, Stage: stage, Reason: reason, Tags: []string{"cuda:" + id}, Images: []verify.Report{}, Rows: []record.Row{}}
}

// cell is one that passed.
func cell(id string, sass []compat.Target, platforms ...string) record.Cell {
	c := record.Cell{ID: id, Status: record.Passed, Tags: []string{"cuda:" + id}, Rows: []record.Row{}, SizeBytes: 26e6 + int64(len(id))*1e5, BuildSeconds: 12.5}
	system, cuda, kind := split(id)
	for _, platform := range platforms {
		digest := Digest(id + " " + platform)
		c.Digest = digest
		c.Images = append(c.Images, judged(id, digest, platform, cuda, sass))
		made := record.Made{
			Digest: digest, Cell: id, Group: "default", OS: system, CUDA: cuda, Platform: platform, Compression: "zstd", Plan: Digest("plan of " + id),
			Parts: []record.Part{
				{Kind: record.RootPart, Name: system, Digest: Digest(system)},
				{Kind: record.RecipePart, Name: "cuda/" + cuda + "-" + system + ".yaml", Digest: Digest("recipe of " + id)},
				{Kind: record.ListsPart, Digest: Digest("lists of " + system), Date: Today.AddDate(0, 0, -2)},
			},
			Tools: map[string]string{"buildkitd": "v0.33.1", "runc": "1.5.2"},
		}
		if kind == "base" || kind == "runtime" || kind == "devel" {
			made.Flavor = kind
		} else {
			made.Sample = kind
		}
		c.Made = append(c.Made, made)
	}
	return c
}

// judged is a report on an image, whose predictions follow from what it needs.
func judged(id, digest, platform, cuda string, sass []compat.Target) verify.Report {
	value := compat.RequireCUDA(cuda)
	if cuda == "11.2" {
		value = "cuda>=11.2" // looser would do
	}
	requirement, _ := compat.ParseRequirement("NVIDIA_REQUIRE_CUDA", value)
	part := "usr/lib/x86_64-linux-gnu/libcudart.so." + cuda
	if len(sass) > 0 {
		part = "usr/local/bin/nbody"
	}
	needs := compat.Needs{
		Parts:   []compat.Part{{Name: part, Runtime: cuda, SASS: sass}},
		Require: []compat.Requirement{requirement},
	}
	r := verify.Report{
		Ref: "cuda:" + id, Digest: digest, Config: Digest("configuration of " + digest), Platform: platform, Verdict: verify.Pass, Rules: "example", Findings: []verify.Finding{},
		Libcuda: verify.Libcuda{Winner: verify.HostLibcuda, Why: "nothing of the image is found before it"},
		Portability: verify.Portability{
			CUDARuntime: cuda, SASS: []string{}, PTX: []string{}, HostLibraries: []verify.HostLibrary{},
			Parts: []verify.GPUPart{{Path: needs.Parts[0].Name, CUDARuntime: cuda, SASS: []string{}, PTX: []string{}}}, Needs: needs,
		},
	}
	p := &r.Portability
	for _, t := range sass {
		p.SASS = append(p.SASS, t.String())
	}
	for _, gpu := range compat.GPUs() {
		for _, driver := range compat.Drivers() {
			if h := (compat.Host{Driver: driver, GPU: gpu}); compat.Predict(compat.Needs{}, h).Verdict.Runs() {
				p.Predictions = append(p.Predictions, verify.DriverGPU{Driver: driver, GPU: gpu.String(), Prediction: compat.Predict(needs, h)})
			}
		}
		if driver, why := compat.MinDriver(needs, gpu); driver != "" && (p.MinDriver == "" || compat.Compare(driver, p.MinDriver) < 0) {
			p.MinDriver, p.MinDriverWhy = driver, why
		}
	}
	return r
}

// code is for GPUs up to Hopper, without PTX.
func code() []compat.Target {
	return []compat.Target{{SM: 60}, {SM: 70}, {SM: 75}, {SM: 80}, {SM: 86}, {SM: 89}, {SM: 90}}
}

// before is the record of a week ago: it lacks two cells, and one of its images was another.
func before(now *record.Run) *record.Run {
	earlier := &record.Run{Version: 1, Inputs: []record.Input{{OS: "debian13", Platform: "linux/amd64", Date: Today.AddDate(0, 0, -9)}}}
	for _, c := range now.Cells {
		switch c.ID {
		case "12.8-base-ubuntu22.04", "12.8-nbody-ubuntu22.04":
			continue
		case "12.4-nbody-debian13":
			c.Digest, c.SizeBytes = Digest("last week's 12.4-nbody-debian13"), c.SizeBytes-1e6
		case "11.8-runtime-debian12":
			c.Status, c.Stage, c.Reason, c.Hint = record.Passed, "", "", ""
			c.Digest = Digest("last week's 11.8-runtime-debian12")
			r := c.Images[0]
			r.Digest, r.Verdict, r.Findings = c.Digest, verify.Pass, nil
			c.Images = []verify.Report{r}
		}
		earlier.Cells = append(earlier.Cells, c)
	}
	earlier.Sum()
	return earlier
}

func changes() *diff.Result {
	image := func(id string, state diff.State) diff.Image {
		return diff.Image{
			Cell: id, Platform: "linux/amd64", State: state, OldVerdict: "passed", NewVerdict: "passed", TagsAdded: []string{}, TagsRemoved: []string{}, Causes: []int{},
			Packages: []diff.PackageChange{},
			Files:    []diff.FileChange{}, Config: []diff.ValueChange{}, Predictions: []diff.Prediction{}, Rows: []diff.RowChange{},
		}
	}
	var all []diff.Image
	for _, c := range cells() {
		i := image(c.ID, diff.Same)
		i.NewVerdict = string(c.Status)
		if c.Stage != "" {
			i.NewVerdict += " at " + c.Stage
		}
		i.OldVerdict, i.NewSize, i.OldSize, i.NewDigest, i.OldDigest = i.NewVerdict, c.SizeBytes, c.SizeBytes, c.Digest, c.Digest
		switch c.ID {
		case "12.4-nbody-debian13":
			i.State, i.OldDigest, i.OldSize = diff.Changed, Digest("last week's 12.4-nbody-debian13"), c.SizeBytes-1e6
			i.Causes = []int{0, 1}
			i.Packages = []diff.PackageChange{{Manager: "dpkg", Name: "bash", Arch: "amd64", Old: "5.2.37-2+b9", New: "5.2.37-2+b10"}}
			i.Files = []diff.FileChange{{Path: "usr/bin/bash", How: "content"}, {Path: "usr/local/bin/nbody", How: "content", Cause: 1}}
			i.Rows = []diff.RowChange{{Test: "nbody", Engine: "direct", Driver: "580.65.06", GPU: "NVIDIA H200", Old: "pass", New: "fail"}}
		case "11.8-runtime-debian12":
			i.State, i.OldVerdict, i.OldDigest = diff.Changed, "passed", Digest("last week's 11.8-runtime-debian12")
			i.Causes = []int{2}
			i.Files = []diff.FileChange{{Path: "usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14", How: "added", Cause: 2}}
		case "12.8-base-ubuntu22.04", "12.8-nbody-ubuntu22.04":
			i.State, i.OldVerdict, i.OldSize, i.OldDigest = diff.Added, "", 0, ""
		}
		all = append(all, i)
	}
	return &diff.Result{
		Version: 1, Old: diff.Side{Name: "last-week/run.json", Date: Today.AddDate(0, 0, -9)}, New: diff.Side{Name: "out/run.json", Date: Today.AddDate(0, 0, -2)},
		Causes: []diff.Cause{
			{Kind: diff.Package, What: "bash 5.2.37-2+b9 -> 5.2.37-2+b10", Place: "package lists of debian13", Changes: 2},
			{Kind: diff.Source, What: "nbody.cu changed", Place: "samples/nbody/nbody.cu", Changes: 1},
			{Kind: diff.Recipe, What: "+COPY libcuda.so.550.54.14 /usr/lib/x86_64-linux-gnu/", Place: "matrix.yaml:14", Changes: 1},
		},
		Images: all,
	}
}

// attached is what is attached to the image of a cell; a document of it has a state.
func attached(id string, state attest.State) attest.Report {
	digest := Digest(id + " linux/amd64")
	r := attest.Report{Ref: "registry.example/cuda:" + id, Digest: digest, Repository: "registry.example/cuda", State: state, Key: "example-key"}
	one := attest.Image{Digest: digest, Platform: "linux/amd64", State: attest.Valid}
	for _, kind := range []evidence.Kind{evidence.SBOM, evidence.Provenance, evidence.Report, evidence.VSA} {
		one.Documents = append(one.Documents, attest.Attached{Kind: kind, Digest: Digest(id + string(kind)), State: attest.Valid, Signer: "example-key", Verified: true})
	}
	if state != attest.Valid {
		r.State, one.State = attest.Incomplete, attest.Incomplete
		one.Documents[3].State, one.Documents[3].Why = state, "it is by rules of another time"
		one.Missing = []evidence.Kind{evidence.VSA}
	}
	r.Images = []attest.Image{one}
	return r
}
