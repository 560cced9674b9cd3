// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

const ldso = "/lib64/ld-linux-x86-64.so.2"

// withLibc adds a C library to files.
func withLibc(files map[string]imagetest.Entry) map[string]imagetest.Entry {
	all := map[string]imagetest.Entry{
		"lib64":                          {Symlink: "usr/lib64"},
		"usr/lib64/ld-linux-x86-64.so.2": imagetest.File(imagetest.ELF{SOName: "ld-linux-x86-64.so.2"}.Bytes()),
		"usr/lib64/libc.so.6":            imagetest.File(imagetest.ELF{SOName: "libc.so.6", VersionDefs: []string{"GLIBC_2.4", "GLIBC_2.36"}}.Bytes()),
	}
	maps.Copy(all, files)
	return all
}

func program(versions map[string][]string, needed ...string) imagetest.Entry {
	return imagetest.File(imagetest.ELF{Interp: ldso, Needed: needed, VersionNeeds: versions}.Bytes())
}

func library(elf imagetest.ELF) imagetest.Entry { return imagetest.File(elf.Bytes()) }

// stub and leaked are files that call themselves libcuda.so.1.
var (
	stub   = imagetest.File(stubCUDA)
	leaked = imagetest.File(realLibrary("libcuda.so.1"))
)

// TestMergedView judges layers together with the configuration.
func TestMergedView(t *testing.T) {
	t.Parallel()
	type files = map[string]imagetest.Entry
	const stubs, compat = "usr/local/cuda-12.4/lib64/stubs/", "usr/local/cuda-12.4/compat/"
	cuda := imagetest.Entry{Symlink: "cuda-12.4"}
	conf := imagetest.Entry{Data: "include ld.so.conf.d/*.conf\n/usr/local/lib\n"}
	for _, tc := range []struct {
		name    string
		env     string
		layers  []files
		want    []string // "severity rule path: part of the detail"
		libcuda string   // "winner: part of why"
	}{
		{"nothing", "", []files{{}}, nil, "host: no search path"},
		{"program that works", "", []files{{"bin/p": program(map[string][]string{"libc.so.6": {"GLIBC_2.36"}}, "libc.so.6", "libcuda.so.1", "libnvidia-ml.so.1")}}, nil, "host"},
		{"directories that NVIDIA's images name", "LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64", []files{{"etc/ld.so.conf.d/nvidia.conf": {Data: "/usr/local/nvidia/lib\n"}, "etc/ld.so.conf": conf}}, nil, "host"},
		{"stubs in place", "LIBRARY_PATH=/usr/local/cuda/lib64/stubs", []files{{stubs + "libcuda.so": stub, stubs + "libcublas.so": library(imagetest.ELF{RunPath: "$ORIGIN"}), "usr/local/cuda": cuda}}, nil, "host"},
		{"stubs in LD_LIBRARY_PATH", "LD_LIBRARY_PATH=/usr/local/cuda/lib64/stubs", []files{{stubs + "libcuda.so": stub, "usr/local/cuda": cuda}}, []string{"warn stub-search-path " + stubs + "libcuda.so: LD_LIBRARY_PATH"}, "host"},
		{"stubs in LD_LIBRARY_PATH with the name that programs load", "LD_LIBRARY_PATH=/usr/local/cuda/lib64/stubs", []files{{stubs + "libcuda.so": stub, stubs + "libcuda.so.1": {Symlink: "libcuda.so"}, "usr/local/cuda": cuda}}, []string{
			"fail stub-loaded " + stubs + "libcuda.so: LD_LIBRARY_PATH", "fail stub-misplaced " + stubs + "libcuda.so.1: link to the stub",
		}, stubs + "libcuda.so.1: stub"},
		{"stubs in ld.so.conf", "", []files{{stubs + "libcuda.so": stub, "usr/local/cuda": cuda, "etc/ld.so.conf": conf, "etc/ld.so.conf.d/s.conf": {Data: "/usr/local/cuda/lib64/stubs"}}}, []string{
			"fail stub-loaded " + stubs + "libcuda.so: etc/ld.so.conf.d/s.conf",
		}, stubs + "libcuda.so: (error 34), found through etc/ld.so.conf.d/s.conf"},
		{"stubs taken off in a later layer", "", []files{{stubs + "libcuda.so": stub, "etc/ld.so.conf": {Data: "/" + stubs}}, {"etc/ld.so.conf": conf}}, nil, "host"},
		{"stubs in RUNPATH", "", []files{{stubs + "libcuda.so": stub}, {"opt/p": library(imagetest.ELF{RunPath: "/x:/" + stubs}), "opt/q": library(imagetest.ELF{RPath: "/" + stubs})}}, []string{
			"warn stub-search-path opt/p: its RUNPATH names usr/local/cuda-12.4/lib64/stubs, which holds stubs (and 1 more like it)",
		}, "host"},
		{"stub that RUNPATH loads", "", []files{{stubs + "libcuda.so": stub, stubs + "libcuda.so.1": {Symlink: "libcuda.so"}}, {"opt/p": library(imagetest.ELF{RunPath: "/" + stubs})}}, []string{
			"fail stub-misplaced " + stubs + "libcuda.so.1: ", "fail stub-loaded opt/p: its RUNPATH",
		}, "host"},
		{"stub of a toolkit library", "", []files{withLibc(files{
			"opt/stubs/libcublas.so": library(imagetest.ELF{SOName: "libcublas.so.12"}), "usr/bin/p": program(nil, "libcublas.so.12"), "etc/ld.so.conf": {Data: "/opt/stubs"},
		})}, []string{"fail stub-loaded opt/stubs/libcublas.so: stub is what etc/ld.so.conf leads to"}, "host"},
		{"forward-compat off the search paths", "LD_LIBRARY_PATH=/usr/local/cuda/compat/lib", []files{{compat + "lib.real/libcuda.so.1": leaked, "usr/local/cuda": cuda}}, []string{
			"info forward-compat " + compat + "lib.real/libcuda.so.1: ",
		}, "host: the hook does not use the one in /usr/local/cuda-12.4/compat/lib.real"},
		{"forward-compat in LD_LIBRARY_PATH", "LD_LIBRARY_PATH=/usr/local/cuda/compat", []files{{compat + "libcuda.so.1": {Symlink: "libcuda.so.550.54.15"}, compat + "libcuda.so.550.54.15": leaked, "usr/local/cuda": cuda}}, []string{
			"fail compat-search-path " + compat + "libcuda.so.550.54.15: LD_LIBRARY_PATH", "info forward-compat " + compat + "libcuda.so.550.54.15: ",
		}, compat + "libcuda.so.1: error 803"},
		{"forward-compat in ld.so.conf, behind a host's directory", "", []files{{compat + "libcuda.so.550.54.15": leaked, "usr/lib64/libcuda.so.470.256.02": leaked, "etc/ld.so.conf": {Data: "/usr/lib64\n/" + compat}}}, []string{
			"fail driver-library usr/lib64/libcuda.so.470.256.02: ", "info forward-compat " + compat + "libcuda.so.550.54.15: ",
		}, "usr/lib64/libcuda.so.470.256.02: on hosts that keep theirs in /usr/lib/x86_64-linux-gnu"},
		{"forward-compat in RPATH", "", []files{{compat + "libcuda.so.1": leaked, compat + "libx.so": library(imagetest.ELF{RunPath: "$ORIGIN"}), "opt/p": library(imagetest.ELF{RPath: "/" + compat})}}, []string{
			"fail compat-search-path opt/p: its RPATH", "info forward-compat " + compat + "libcuda.so.1: ",
		}, "host"},
		{"leaked into /usr/local/lib", "", []files{{"etc/ld.so.conf": conf}, {"usr/local/lib/libcuda.so.470.256.02": leaked}}, []string{"fail driver-library usr/local/lib/libcuda.so.470.256.02: "}, "host"},
		{"empty file that wins", "LD_LIBRARY_PATH=/opt", []files{{"opt/libcuda.so.1": {}}}, []string{"fail mount-point opt/libcuda.so.1: "}, "opt/libcuda.so.1: error 35"},
		{"missing library", "", []files{withLibc(files{"usr/bin/p": program(nil, "libgone.so.1"), "usr/bin/q": program(nil, "libgone.so.1", "liba.so"), "usr/lib64/liba.so": library(imagetest.ELF{Needed: []string{"libgone.so.1"}})})}, []string{
			"warn unresolved usr/bin/p: needs libgone.so.1, to which no search path leads (and 2 more like it)",
		}, "host"},
		{"missing library of what the image starts", "", []files{withLibc(files{"app/run": program(nil, "libgone.so.1")})}, []string{"warn unresolved app/run: "}, "host"},
		{"library off the search paths", "", []files{withLibc(files{"usr/bin/p": program(nil, "libz.so.1"), "opt/libz.so.1": library(imagetest.ELF{})})}, []string{"warn unresolved usr/bin/p: there is one at opt/libz.so.1"}, "host"},
		{"library that only ld.so.cache knows", "", []files{withLibc(files{"usr/bin/p": program(nil, "libz.so.1"), "opt/libz.so.1": library(imagetest.ELF{}), "etc/ld.so.cache": imagetest.File(linkerCache("libz.so.1", "/opt/libz.so.1"))})}, []string{
			"warn unresolved usr/bin/p: ld.so.cache still has opt/libz.so.1, until the runtime hook",
		}, "host"},
		{"library that an older ld.so.cache knew", "", []files{
			withLibc(files{"usr/bin/p": program(nil, "libz.so.1"), "opt/libz.so.1": library(imagetest.ELF{}), "etc/ld.so.cache": imagetest.File(linkerCache("libz.so.1", "/opt/libz.so.1"))}),
			{"etc/ld.so.cache": imagetest.File(linkerCache("liba.so.1", "/usr/lib/liba.so.1"))},
		}, []string{"warn unresolved usr/bin/p: to which no search path leads; there is one at opt/libz.so.1"}, "host"},
		{"library that programs bring together", "", []files{withLibc(files{"usr/lib64/liba.so": library(imagetest.ELF{Needed: []string{"libz.so.1"}}), "opt/libz.so.1": library(imagetest.ELF{})})}, []string{"info unresolved-aside usr/lib64/liba.so: "}, "host"},
		{"missing dynamic linker", "", []files{{"usr/bin/p": program(nil, "libc.so.6")}}, []string{"warn unresolved usr/bin/p: dynamic linker " + ldso}, "host"},
		{"libraries without a system", "", []files{{"usr/lib64/liba.so": library(imagetest.ELF{Needed: []string{"libc.so.6"}})}}, nil, "host"},
		{"plugins", "", []files{withLibc(files{"opt/a.so": library(imagetest.ELF{Needed: []string{"libx.so"}}), "opt/b.so": library(imagetest.ELF{Needed: []string{"liby.so"}})})}, []string{
			"info unresolved-aside opt/a.so: the image lacks libx.so, liby.so (and 1 more like it)",
		}, "host"},
		{"newer C library needed", "", []files{withLibc(files{"usr/bin/p": program(map[string][]string{"libc.so.6": {"GLIBC_2.4", "GLIBC_2.38"}}, "libc.so.6")})}, []string{
			"warn version-missing usr/bin/p: needs GLIBC_2.38 of libc.so.6; usr/lib64/libc.so.6 has versions up to GLIBC_2.36",
		}, "host"},
		{"deleted program", "", []files{withLibc(files{"usr/bin/p": program(nil, "libgone.so.1")}), {"usr/bin/.wh.p": {}}}, nil, "host"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.name == "program that works" {
				tc.layers[0] = withLibc(tc.layers[0])
			}
			var start []string
			var layers []*imagetest.Blob
			for _, f := range tc.layers {
				if _, ok := f["app/run"]; ok {
					start = []string{"./run"}
				}
				layers = append(layers, layer(f))
			}
			img, err := mutate.Config(imagetest.New(layers...), v1.Config{Env: []string{"PATH=/usr/bin:/bin", gpus, tc.env}, Entrypoint: start, WorkingDir: "/app"})
			if err != nil {
				t.Fatal(err)
			}
			report := judge(t, img)
			compareFindings(t, tc.want, report.Findings)
			winner, why, _ := strings.Cut(tc.libcuda, ": ")
			if report.Libcuda.Winner != winner || !strings.Contains(report.Libcuda.Why, why) {
				t.Errorf("libcuda %+v, want %s", report.Libcuda, tc.libcuda)
			}
			if !fileAsTold(report.Libcuda) {
				t.Errorf("libcuda %+v: its file is told otherwise", report.Libcuda)
			}
		})
	}
}

// fileAsTold reports whether the file is what the reason says in words.
func fileAsTold(l verify.Libcuda) bool {
	if l.Winner == verify.HostLibcuda {
		return cmp.Equal(l.File, verify.Libcuda{}.File)
	}
	told := func(words string) bool { return strings.Contains(l.Why, words) }
	return l.File.Broken == told("error 35") && l.File.Stub == told("error 34") && l.File.Forward == told("forward-compat") &&
		(l.File.Forward || told(l.File.Driver))
}

// compareFindings wants each finding to begin and to go on as one of want, in order.
func compareFindings(t *testing.T, want []string, findings []verify.Finding) {
	t.Helper()
	var got []string
	for i, f := range findings {
		line := string(f.Severity) + " " + f.Rule + " " + f.Path + ": "
		if i < len(want) {
			if _, part, _ := strings.Cut(want[i], ": "); strings.Contains(f.Detail, part) {
				line += part
			} else {
				line += f.Detail
			}
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
