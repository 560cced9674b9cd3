// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// realLibrary has enough code that it cannot be a stub.
func realLibrary(soname string, exports ...string) []byte {
	return imagetest.ELF{SOName: soname, Exports: exports, Exec: 300 << 10}.Bytes()
}

// classFixtures are layers that break the rules of kind class.
var classFixtures = map[string]map[string]imagetest.Entry{
	"mount-point":         {"usr/lib/libcuda.so.550.54.15": {}},
	"stub-misplaced":      {"usr/lib/libcuda.so.1": imagetest.File(stubCUDA)},
	"driver-api-provider": {"opt/shim.so": imagetest.File(realLibrary("libshim.so", "cuInit", "cuDriverGetVersion", "cuGetExportTable"))},
	"conda-compat":        {"opt/conda/cuda-compat/libcuda.so.550.54.15": imagetest.File(realLibrary("libcuda.so.1"))},
	"forward-compat":      {"usr/local/cuda-12.4/compat/libcuda.so.550.54.15": imagetest.File(realLibrary("libcuda.so.1"))},
	"unreadable":          {"usr/lib/x.so": imagetest.File(brokenELF)},
	"stub-loaded":         {"cuda/stubs/libcuda.so": imagetest.File(stubCUDA), "etc/ld.so.conf": {Data: "/cuda/stubs\n"}},
	"stub-search-path":    {"cuda/stubs/libcuda.so": imagetest.File(stubCUDA), "usr/lib/libx.so": imagetest.File(imagetest.ELF{RunPath: "/cuda/stubs"}.Bytes())},
	"compat-search-path":  {"usr/local/cuda/compat/libcuda.so.1": imagetest.File(realLibrary("libcuda.so.1")), "etc/ld.so.conf.d/c.conf": {Data: "/usr/local/cuda/compat\n"}, "etc/ld.so.conf": {Data: "include ld.so.conf.d/*.conf\n"}},
	"unresolved":          withLibc(map[string]imagetest.Entry{"usr/lib/libx.so": imagetest.File(imagetest.ELF{Needed: []string{"libgone.so.1"}}.Bytes())}),
	"unresolved-aside":    withLibc(map[string]imagetest.Entry{"opt/libx.so": imagetest.File(imagetest.ELF{Needed: []string{"libgone.so.1"}}.Bytes())}),
	"capability-missing":  {"opt/player": user("libnvcuvid.so.1")},
	"capability-unknown":  {"opt/player": user("libnvcuvid.so.1")},
	"devices-void":        {"opt/player": user("libnvcuvid.so.1")},
	"devices-unset":       {"opt/player": user("libnvcuvid.so.1")},
	"preload-path":        {"etc/passwd": {Data: "x"}},
	"preload-missing":     {"etc/passwd": {Data: "x"}},
	"version-missing":     withLibc(map[string]imagetest.Entry{"usr/bin/p": program(map[string][]string{"libc.so.6": {"GLIBC_2.38"}}, "libc.so.6")}),
	"search-incomplete":   {"etc/ld.so.conf": {Data: strings.Repeat("/opt/lib\n", 8000)}},

	"requirement-mismatch":  {"usr/lib/libcudart.so.11.8.89": imagetest.File(realLibrary("libcudart.so.11.0"))},
	"requirement-malformed": {"etc/passwd": {Data: "root"}},
	"requirement-csv":       {"etc/passwd": {Data: "root"}},
	"requirement-strict":    {"opt/app": gpuFile("", 12040, imagetest.Fatbin(imagetest.SASS(80)...))},
	"ld-cache-residue":      {"etc/ld.so.cache": imagetest.File(linkerCache("libcuda.so.1", "/usr/lib/libcuda.so.1"))},
}

// testedElsewhere are rules that no content of a layer breaks, and their tests.
var testedElsewhere = map[string]string{
	"media-type":          "TestMediaTypes",
	"exception-expired":   "TestPolicy",
	"exception-unmatched": "TestPolicy",
	"entrypoint-missing":  "TestStart",
}

// classEnv is the environment of the images that have these layers.
var classEnv = map[string][]string{
	"requirement-mismatch":  {"CUDA_VERSION=12.4.1"},
	"requirement-malformed": {"CUDA_VERSION=cu121"},
	"requirement-csv":       {"NVIDIA_REQUIRE_CUDA=CUDA>=12.3"},
	"requirement-strict":    {"NVIDIA_REQUIRE_CUDA=cuda>=12.4"},
	"capability-missing":    {asks + "compute"},
	"capability-unknown":    {gpus, asks + "vidoe"},
	"devices-void":          {visible + "void"},
	"preload-path":          {"LD_PRELOAD=/proc/self/cwd/poc.so"},
	"preload-missing":       {"LD_PRELOAD=/opt/nowhere.so"},
}

var (
	stubCUDA  = imagetest.ELF{SOName: "libcuda.so.1", Exports: []string{"cuInit", "cuDriverGetVersion", "cuGetExportTable"}, Exec: 200}.Bytes()
	brokenELF = func() []byte {
		data := realLibrary("x.so")
		return append(data[:54], append([]byte{1, 0}, data[56:]...)...) // program headers of one byte
	}()
)

// patternFixture is a layer that one pattern must find.
func patternFixture(r verify.Rule, p verify.Pattern) map[string]imagetest.Entry {
	switch r.Kind {
	case "package":
		return map[string]imagetest.Entry{"var/lib/dpkg/status": {Data: "Package: " + p.Example + "\nStatus: install ok installed\nVersion: 1.0-1\n\n"}}
	case "path":
		switch p.Type {
		case "object":
			return map[string]imagetest.Entry{"opt/helper.bin": imagetest.File(objectFile(p.Text...))}
		case "script":
			return map[string]imagetest.Entry{"opt/helper.bin": imagetest.File([]byte("#!/bin/sh\nlabel=\"" + strings.Join(p.Text, " ") + "\"\n"))}
		}
		e := imagetest.Entry{Data: "x", Mode: 0o755}
		switch p.Type {
		case "program", "firmware":
			e.Data = string(imagetest.ELF{}.Bytes())
		case "device":
			e = imagetest.Entry{Device: &imagetest.Device{Major: 240, Minor: 1}}
		}
		return map[string]imagetest.Entry{p.Example: e}
	case "library":
		name := p.Stem + ".so.550.54.15"
		switch {
		case p.Pattern != "":
			return map[string]imagetest.Entry{p.Example: {Data: "x"}}
		case p.Target != "":
			return map[string]imagetest.Entry{"usr/lib/" + p.Stem + ".so.0": {Symlink: p.Target + ".so.0"}, "usr/lib/" + p.Target + ".so.0": {Data: "x"}}
		case p.Stem == "" && p.Needed == "":
			return map[string]imagetest.Entry{"usr/lib/x.so": imagetest.File(append(realLibrary("x", p.Exports...), strings.Join(p.Text, "\x00")...))}
		case p.Stem == "":
			return map[string]imagetest.Entry{"usr/lib/libGL.so.1": imagetest.File(imagetest.ELF{Needed: []string{p.Needed + ".so.340.108"}}.Bytes())}
		}
		return map[string]imagetest.Entry{"usr/lib/" + name: {Data: "x"}}
	}
	return classFixtures[r.ID]
}

// TestEveryPatternHasABadFixture builds a layer for each row of rules/*.yaml.
func TestEveryPatternHasABadFixture(t *testing.T) {
	t.Parallel()
	for _, r := range verify.Rules() {
		patterns := r.Match
		if r.Kind == "class" {
			patterns = []verify.Pattern{{}}
		}
		if testedElsewhere[r.ID] != "" {
			continue
		}
		for _, p := range patterns {
			files := patternFixture(r, p)
			if len(files) == 0 {
				t.Errorf("rule %s, pattern %+v: no fixture", r.ID, p)
				continue
			}
			report := judge(t, imagetest.WithEnv(imagetest.New(layer(files)), classEnv[r.ID]...))
			if !slices.ContainsFunc(report.Findings, func(f verify.Finding) bool { return f.Rule == r.ID && f.Severity == r.Severity }) {
				t.Errorf("rule %s, pattern %+v: findings %+v", r.ID, p, report.Findings)
			}
		}
	}
}

// TestExportsFindRenamedLibraries hides each library that has an export class
// behind another name and SONAME, without section headers.
func TestExportsFindRenamedLibraries(t *testing.T) {
	t.Parallel()
	for _, r := range verify.Rules() {
		for _, p := range r.Match {
			if len(p.Exports) == 0 {
				continue
			}
			for _, last := range []bool{false, true} {
				elf := imagetest.ELF{SOName: "helper", Exports: append(slices.Clone(p.Exports), p.Proof...), Exec: 300 << 10, TablesLast: last, GNUHash: last}
				if p.Needed != "" {
					elf.Needed = []string{p.Needed + "core.so.550.54.15"}
				}
				report := judge(t, imagetest.New(layer(map[string]imagetest.Entry{"opt/helper.bin": imagetest.File(elf.Bytes())})))
				if report.Verdict != verify.Fail || report.Findings[0].Rule != r.ID {
					t.Errorf("%s by exports: %s, findings %+v", p.Stem, report.Verdict, report.Findings)
				}
			}
		}
	}
}

// TestTextsFindRenamedFiles hides each library and program that has texts behind
// another name and SONAME.
func TestTextsFindRenamedFiles(t *testing.T) {
	t.Parallel()
	for _, r := range verify.Rules() {
		for _, p := range r.Match {
			if len(p.Text) == 0 || p.Type == "object" || p.Type == "script" {
				continue
			}
			if !strings.Contains(p.Text[0], "nvidia") && !strings.Contains(p.Text[0], "NVIDIA") {
				t.Errorf("%s: text %q has no anchor", cmp.Or(p.Stem, p.Pattern), p.Text[0])
			}
			elf := append(imagetest.ELF{SOName: "helper", Exec: 300 << 10}.Bytes(), strings.Join(p.Text, "\x00")...)
			report := judge(t, imagetest.New(layer(map[string]imagetest.Entry{"opt/helper.bin": imagetest.File(elf)})))
			if len(report.Findings) != 1 || report.Findings[0].Rule != r.ID {
				t.Errorf("%s by text: findings %+v", cmp.Or(p.Stem, p.Pattern), report.Findings)
			}
		}
	}
}

func TestRulesAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range verify.Rules() {
		if seen[r.ID] {
			t.Errorf("rule %s appears twice", r.ID)
		}
		seen[r.ID] = true
		if r.Reason == "" || r.Fix == "" || r.Since == "" || !slices.Contains([]verify.Severity{"fail", "warn", "info"}, r.Severity) {
			t.Errorf("rule %s: reason, fix, since or severity is missing", r.ID)
		}
		for _, p := range r.Match {
			if p.Source == "" {
				t.Errorf("rule %s, pattern %+v: no source", r.ID, p)
			}
			if r.Kind == "path" && p.Word == "" && p.Pattern != "" && !strings.Contains(p.Example, "nvidia") {
				t.Errorf("rule %s, pattern %s: needs a word, its example has no \"nvidia\"", r.ID, p.Pattern)
			}
		}
	}
}
