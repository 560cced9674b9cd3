// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

const muslso = "/lib/ld-musl-x86_64.so.1"

var h100 = compat.Host{Driver: "550.54.14", GPU: compat.Target{SM: 90}}

// executable is a file of text that may be started.
func executable(text string) imagetest.Entry { return imagetest.Entry{Data: text, Mode: 0o755} }

// withMusl adds musl's C library, and no other.
func withMusl(files files) files {
	all := map[string]imagetest.Entry{"lib/ld-musl-x86_64.so.1": imagetest.File(imagetest.ELF{SOName: "libc.musl-x86_64.so.1", Exec: 64}.Bytes())}
	maps.Copy(all, files)
	return all
}

// static is a program without a dynamic linker, for a machine.
func static(machine byte) imagetest.Entry {
	data := make([]byte, 4096)
	copy(data, "\x7fELF\x02\x01\x01")
	data[16], data[18], data[20], data[52], data[54] = 2, machine, 1, 64, 56
	return imagetest.File(data)
}

func foreignProgram() imagetest.Entry {
	data := []byte(program(nil).Data)
	data[18] = 183
	return imagetest.File(data)
}

// works is an image in which programs and scripts start, with more in it.
func works(more files) files {
	all := withLibc(files{"usr/bin/sh": program(nil, "libc.so.6"), "usr/bin/env": program(nil, "libc.so.6"), "usr/bin/tini": static(62), "bin": {Symlink: "usr/bin"}})
	maps.Copy(all, more)
	return all
}

// startCase is an image and what it starts.
type startCase struct {
	name    string
	argv    []string
	dir     string
	layers  []files
	why     string // "" where it runs
	missing bool   // the finding entrypoint-missing is there
}

func checkStarts(t *testing.T, cases []startCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			checkStart(t, judge(t, started(t, tc.layers, tc.dir, tc.argv...)), tc.why, tc.missing)
		})
	}
}

func checkStart(t *testing.T, report verify.Report, why string, missing bool) {
	t.Helper()
	p := report.Predict(h100)
	if why == "" && !p.Verdict.Runs() || why != "" && (p.Verdict != compat.No || !strings.Contains(p.Why, why)) {
		t.Errorf("Predict = %s (%s), want %q", p.Verdict, p.Why, why)
	}
	if got := hasRule(report, "entrypoint-missing"); got != missing {
		t.Errorf("entrypoint-missing: %v, want %v: %+v", got, missing, report.Findings)
	}
}

// TestStart: what cannot start does not run, and what can is not accused.
func TestStart(t *testing.T) {
	t.Parallel()
	checkStarts(t, []startCase{
		{"nothing to start", nil, "", []files{{}}, "", false},
		{"program", []string{"/usr/bin/app"}, "", []files{works(files{"usr/bin/app": program(nil, "libc.so.6", "libcuda.so.1")}), {"opt/x": gpuFile("libcudart.so.12", 12040)}}, "", false},
		{"no libc", []string{"/app"}, "", []files{{"lib64/ld-linux-x86-64.so.2": library(imagetest.ELF{SOName: "ld-linux-x86-64.so.2"}), "app": program(nil, "libc.so.6")}}, "app needs libc.so.6, to which no search path leads", false},
		{"no dynamic linker", []string{"/app"}, "", []files{{"app": program(nil, "libc.so.6")}}, "asks for the dynamic linker " + ldso, false},
		{"dynamic linker deleted", []string{"/usr/bin/app"}, "", []files{works(files{"usr/bin/app": program(nil, "libc.so.6")}), {"usr/lib64/.wh.ld-linux-x86-64.so.2": {}}}, "dynamic linker", false},
		{"library deep down", []string{"app"}, "", []files{works(files{"usr/bin/app": program(nil, "liba.so"), "usr/lib64/liba.so": library(imagetest.ELF{Needed: []string{"libgone.so"}})})}, "liba.so needs libgone.so", false},
		{"newer C library", []string{"app"}, "", []files{works(files{"usr/bin/app": program(map[string][]string{"libc.so.6": {"GLIBC_2.38"}}, "libc.so.6")})}, "GLIBC_2.38", false},
		{"not there", []string{"/opt/app"}, "", []files{works(nil)}, "/opt/app is not in the image", true},
		{"not on PATH", []string{"app"}, "", []files{works(files{"opt/app": program(nil)})}, `"app" is in no directory of PATH`, true},
		{"deleted", []string{"/opt/app"}, "", []files{works(files{"opt/app": program(nil, "libc.so.6")}), {"opt/.wh.app": {}}}, "not in the image", true},
		{"folder", []string{"/opt"}, "", []files{works(files{"opt": {Dir: true}})}, "not in the image", true},
		{"dangling link", []string{"/opt/app"}, "", []files{works(files{"opt/app": {Symlink: "gone"}})}, "not in the image", true},
		{"link in a circle", []string{"/opt/app"}, "", []files{works(files{"opt/app": {Symlink: "app"}})}, "not in the image", true},
		{"link to a script", []string{"/opt/app"}, "", []files{works(files{"opt/app": {Symlink: "../srv/run.sh"}, "srv/run.sh": executable("#!/bin/sh\n")})}, "", false},
		{"link of another layer to a script", []string{"/opt/app"}, "", []files{works(files{"srv/run.sh": executable("#!/bin/sh -e\n")}), {"opt/app": {Symlink: "/srv/run.sh"}}}, "", false},
		{"relative", []string{"./app"}, "/srv", []files{works(files{"srv/app": program(nil, "libc.so.6")})}, "", false},
		{"relative, elsewhere", []string{"./app"}, "/srv", []files{works(files{"opt/app": program(nil, "libc.so.6")})}, "/srv/app is not in the image", true},
		{"through merged folders", []string{"/bin/sh", "-c", "echo $HOME && exec app"}, "", []files{works(nil)}, "", false},
		{"made executable later", []string{"/run.sh"}, "", []files{works(files{"run.sh": {Data: "#!/bin/sh\n", Mode: 0o644}}), {"run.sh": executable("#!/bin/sh\n")}}, "", false},
		{"script", []string{"/run.sh"}, "", []files{works(files{"run.sh": executable("#!/bin/sh\n")})}, "", false},
		{"script with env", []string{"/run.py"}, "", []files{works(files{"run.py": executable("#!/usr/bin/env -S python3 -u\n"), "usr/bin/python3": program(nil, "libc.so.6")})}, "", false},
		{"static program", []string{"/app"}, "", []files{{"app": static(62)}}, "", false},
		{"program for arm64", []string{"/app"}, "", []files{works(files{"app": foreignProgram()})}, "another machine", false},
		{"hard link", []string{"/app"}, "", []files{works(files{"a/real": program(nil, "libc.so.6"), "app": {Link: "a/real"}})}, "", false},
		{"hard link to a lower layer", []string{"/app"}, "", []files{works(files{"run.sh": executable("#!/bin/sh\n")}), {"app": {Link: "run.sh"}}}, "", false},
		{"tini, all there", []string{"/usr/bin/tini", "--", "/run.sh"}, "", []files{works(files{"run.sh": executable("#!/bin/sh\n")})}, "", false},
		{"shell that knows better", []string{"/bin/sh", "-c", "/app || exec /other"}, "", []files{works(nil)}, "", false},
		{"busybox", []string{"sh"}, "", []files{withMusl(files{"bin/busybox": static(62), "bin/sh": {Symlink: "/bin/busybox"}})}, "", false},
		{"musl and libcuda", []string{"/app"}, "", []files{withMusl(files{"app": library(imagetest.ELF{Interp: muslso, Needed: []string{"libcuda.so.1"}})})}, "musl", false},
		{"musl and libcuda, by a library", []string{"app"}, "", []files{withMusl(files{"bin/app": library(imagetest.ELF{Interp: muslso, Needed: []string{"liba.so"}}), "usr/lib/liba.so": library(imagetest.ELF{Needed: []string{"libcuda.so.1"}})})}, "musl", false},
		{"musl alone", []string{"app"}, "", []files{withMusl(files{"bin/app": library(imagetest.ELF{Interp: muslso, Needed: []string{"libc.musl-x86_64.so.1"}})})}, "", false},
	})
}

// TestStartUnknown: what could not be read may hold what is started.
func TestStartUnknown(t *testing.T) {
	t.Parallel()
	broken := layer(files{"opt/app": program(nil)})
	broken.Data = broken.Data[:len(broken.Data)/2]
	report := judge(t, imagetest.WithEntrypoint(imagetest.New(layer(files{}), broken), "/opt/app"))
	if p := report.Predict(h100); p.Verdict != compat.Unknown || hasRule(report, "entrypoint-missing") {
		t.Errorf("Predict = %+v, findings %+v, want unknown and no finding about the entrypoint", p, report.Findings)
	}
}

func started(t *testing.T, layers []files, dir string, argv ...string) v1.Image {
	t.Helper()
	var blobs []*imagetest.Blob
	for _, f := range layers {
		blobs = append(blobs, layer(f))
	}
	img, err := mutate.Config(imagetest.New(blobs...), v1.Config{Entrypoint: argv, WorkingDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func hasRule(r verify.Report, rule string) bool {
	return slices.ContainsFunc(r.Findings, func(f verify.Finding) bool { return f.Rule == rule })
}

// TestOnlyCUDADecides: what does not bear on CUDA leaves the answer alone.
func TestOnlyCUDADecides(t *testing.T) {
	t.Parallel()
	app := files{"opt/app": gpuFile("", 12040, all124)}
	driver := func(soname string) imagetest.Entry { return imagetest.File(realLibrary(soname)) }
	for _, tc := range []struct {
		name  string
		env   string
		files files
		want  compat.Verdict
		why   string
	}{
		{"dangling GL link", "", files{"usr/lib/libEGL_nvidia.so": {Symlink: "libEGL_nvidia.so.550.54.14"}}, compat.Native, ""},
		{"X driver and program", "", files{"usr/lib/xorg/modules/drivers/nvidia_drv.so": driver("nvidia_drv.so"), "usr/bin/nvidia-smi": program(nil)}, compat.Native, ""},
		{"kernel module", "", files{"lib/modules/6.1/nvidia.ko": {Data: "x"}}, compat.Native, ""},
		{"management library", "", files{"usr/lib/libnvidia-ml.so.535.54.03": driver("libnvidia-ml.so.1")}, compat.Native, ""},
		{"libcuda off the paths", "", files{"opt/old/libcuda.so.535.54.03": driver("libcuda.so.1")}, compat.Native, ""},
		{"libcuda on a path", "LD_LIBRARY_PATH=/opt/old", files{"opt/old/libcuda.so.535.54.03": driver("libcuda.so.1"), "opt/old/libcuda.so.1": {Symlink: "libcuda.so.535.54.03"}}, compat.No, "803"},
		{"libcuda of a RUNPATH", "", files{"opt/old/libcuda.so.1": driver("libcuda.so.1"), "opt/b": library(imagetest.ELF{RunPath: "/opt/old"})}, compat.Unknown, "opt/old/libcuda.so.1"},
		{"compiler on a path", "LD_LIBRARY_PATH=/opt", files{"opt/libnvidia-ptxjitcompiler.so.1": driver("libnvidia-ptxjitcompiler.so.1")}, compat.Unknown, "libnvidia-ptxjitcompiler"},
		{"stub that wins", "LD_LIBRARY_PATH=/opt", files{"opt/libcuda.so.1": stub}, compat.No, "error 34"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			maps.Copy(tc.files, app)
			p := judge(t, imagetest.WithEnv(imagetest.New(layer(tc.files)), tc.env))
			if got := p.Predict(h100); got.Verdict != tc.want || !strings.Contains(got.Why, tc.why) {
				t.Errorf("Predict = %s (%s), want %s (%s)", got.Verdict, got.Why, tc.want, tc.why)
			}
		})
	}
}

// TestDriverByNameOnly: an image that asks for libcuda and says no more.
func TestDriverByNameOnly(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]files{
		"program": withLibc(files{"usr/bin/app": program(nil, "libcuda.so.1", "libc.so.6")}),
		"library": {"opt/libx.so": library(imagetest.ELF{Needed: []string{"libcuda.so.1"}})},
	} {
		report := judge(t, imagetest.New(layer(f)))
		if p := report.Predict(h100); p.Verdict != compat.Unknown || !strings.Contains(p.Why, "libcuda.so.1") {
			t.Errorf("%s: Predict = %+v, want unknown because of libcuda.so.1", name, p)
		}
		if h := report.Portability.HostLibraries; len(h) != 1 || h[0].Name != "libcuda.so.1" {
			t.Errorf("%s: host libraries %+v, want libcuda.so.1", name, h)
		}
	}
}

// TestCommand: what is asked about another command is about that one, and no layer is read again.
func TestCommand(t *testing.T) {
	t.Parallel()
	img := started(t, []files{works(files{"srv/run.py": {Data: "print()"}, "usr/bin/python3": program(nil, "libgone.so"), "opt/lib/libgone.so": library(imagetest.ELF{})})}, "", "/usr/bin/env")
	v := verify.New(verify.Options{})
	for _, tc := range []struct {
		name    string
		command verify.Command
		why     string
	}{
		{"the image's own", verify.Command{}, ""},
		{"library missing", verify.Command{Args: []string{"python3", "/srv/run.py"}}, "needs libgone.so"},
		{"library found by the environment", verify.Command{Args: []string{"python3", "/srv/run.py"}, Env: []string{"LD_LIBRARY_PATH=/opt/lib"}}, ""},
		{"script missing", verify.Command{Args: []string{"python3", "run.py"}, Env: []string{"LD_LIBRARY_PATH=/opt/lib"}}, "/run.py is not in the image"},
		{"script in the folder", verify.Command{Args: []string{"python3", "run.py"}, Env: []string{"LD_LIBRARY_PATH=/opt/lib"}, WorkingDir: "/srv"}, ""},
	} {
		report, err := v.Command(t.Context(), tc.name, img, tc.command)
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Portability.CannotBind(); (got == "") != (tc.why == "") || !strings.Contains(got, tc.why) {
			t.Errorf("%s: cannot start because %q, want %q", tc.name, got, tc.why)
		}
		if read := report.Stats.BytesRead > 0; read != (tc.command.Args == nil) {
			t.Errorf("%s: %+v, want layers to be read for the first report alone", tc.name, report.Stats)
		}
	}
}
