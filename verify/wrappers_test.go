// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// TestStartBehind: a program that only starts another is judged by that.
func TestStartBehind(t *testing.T) {
	t.Parallel()
	libc := program(nil, "libc.so.6")
	img := []files{works(files{
		"usr/bin/bash": libc, "usr/bin/dash": libc, "usr/bin/dumb-init": static(62), "usr/bin/gosu": static(62), "usr/bin/nohup": libc,
		"usr/bin/python3": {Symlink: "python3.11"}, "usr/bin/python3.11": libc, "sbin/tini": static(62), "usr/bin/wrapped": executable("#!/bin/sh\n"),
		"bad": program(nil, "libgone.so"), "good": libc, "run.sh": executable("#!/bin/gone\n"), "srv/app.py": {Data: "print()\n"},
		"opt/tini": executable("#!/bin/sh\n"), "opt/nvidia/nvidia_entrypoint.sh": executable("#!/bin/bash\n"), "opt/bad": static(183),
	})}
	const libgone, gone = "bad needs libgone.so", "/gone is not in the image"
	for _, tc := range []struct {
		argv    string // split at "¦"
		why     string
		missing bool
	}{
		{"tini¦--¦/good", "", false},
		{"tini¦-g¦--¦/bad", libgone, false},
		{"/sbin/tini¦-v¦-p¦SIGTERM¦-e¦143¦/gone", gone, true},
		{"tini¦-gvv¦-pSIGTERM¦--¦app", `"app" is in no directory of PATH`, true},
		{"tini", "", false},
		{"tini¦--unknown¦/gone", "", false},
		{"/opt/tini¦--¦/gone", "", false}, // a script may do anything
		{"/opt/nvidia/nvidia_entrypoint.sh¦/gone", "", false},
		{"dumb-init¦--rewrite¦15:2¦--¦/gone", gone, true},
		{"dumb-init¦--single-child¦--¦/bad", libgone, false},
		{"dumb-init¦-c¦/run.sh", "/bin/gone is not in the image", false},
		{"env¦-u¦BAR¦FOO=1¦/gone", gone, true},
		{"env¦FOO=1¦-u¦BAR¦/good", `"-u" is in no directory of PATH`, true},
		{"env¦FOO=1¦app", `"app" is in no directory of PATH`, true},
		{"env¦FOO=/gone", "", false},
		{"env¦PATH=/opt¦app", "", false},
		{"env¦LD_LIBRARY_PATH=/opt/lib¦/bad", "", false},
		{"env¦-i¦app", "", false},
		{"/usr/bin/env¦-C¦/opt¦./gone", "", false},
		{"nohup¦/bad", libgone, false},
		{"gosu¦1000:1000¦/gone", gone, true},
		{"tini¦--¦gosu¦app¦env¦A=b¦/opt/bad", "another machine", false},
		{"tini¦--¦/bin/sh¦-c¦exec /gone", gone, true},
		{"/good¦/gone", "", false},

		{`/bin/sh¦-c¦exec /gone --flag "$X"`, gone, true},
		{"/bin/sh¦-c¦/gone", gone, true},
		{"bash¦-c¦app --flag", `"app" is in no directory of PATH`, true},
		{"/bin/bash¦-eo¦pipefail¦-c¦/bad", libgone, false},
		{"/bin/bash¦-e¦-u¦-x¦-c¦/bad 1 2", libgone, false},
		{"/bin/dash¦-c¦exec tini -- /gone", gone, true},
		{`sh¦-c¦exec tini -- "$APP" /gone`, "", false},
		{"/bin/bash¦-lc¦app", "", false},
		{"/bin/sh¦-c¦$APP", "", false},
		{"/bin/sh¦-c¦\"/gone\"", "", false},
		{"/bin/sh¦-c¦cd /srv && ./gone", "", false},
		{"/bin/sh¦-c¦/gone || true", "", false},
		{"/bin/sh¦-c¦/gone; /good", "", false},
		{"/bin/sh¦-c¦A=1 /gone", "", false},
		{"/bin/sh¦-c¦/good\n/gone", "", false},
		{"/bin/sh¦-c¦echo $HOME", "", false},
		{"/bin/sh¦-c¦exec", "", false},
		{"/bin/sh¦-c¦exec -a name /gone", "", false},
		{"/bin/sh¦-c¦while true", "", false},
		{"/bin/sh¦-c¦[ -f /x ]", "", false},
		{"/bin/sh¦-c¦source /gone", "", false},
		{"/bin/sh¦-c¦", "", false},
		{"/bin/sh", "", false},
		{"/bin/sh¦/gone.sh", "/gone.sh is not in the image", true},
		{"/bin/sh¦/run.sh", "", false},
		{"bash¦-e¦/gone.sh¦-c¦x", "/gone.sh is not in the image", true},
		{"bash¦gone.sh", "", false}, // it looks on PATH too

		{"python3¦app.py", "", false},
		{"python3¦-u¦gone.py¦--port¦80", "/srv/gone.py is not in the image", true},
		{"/usr/bin/python3.11¦/app/main.py", "/app/main.py is not in the image", true},
		{"python3¦-m¦app.py", "", false},
		{"python3¦-c¦import gone.py", "", false},
		{"python3¦-W¦ignore¦gone.py", "", false},
		{"python3¦$APP.py", "", false},
		{"python3¦gone", "", false},
		{"python3.12¦app.py", `"python3.12" is in no directory of PATH`, true},
	} {
		t.Run(tc.argv, func(t *testing.T) {
			t.Parallel()
			checkStart(t, judge(t, started(t, img, "/srv", strings.Split(tc.argv, "¦")...)), tc.why, tc.missing)
		})
	}
}

// TestStartBrought: what a container gets from elsewhere is not missed.
func TestStartBrought(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config v1.Config
		why    string
	}{
		"the driver's program":        {v1.Config{Cmd: []string{"nvidia-smi"}}, ""},
		"the driver's, behind tini":   {v1.Config{Entrypoint: []string{"tini", "--"}, Cmd: []string{"nvidia-smi", "-L"}}, ""},
		"the driver's, by its path":   {v1.Config{Entrypoint: []string{"/usr/bin/nvidia-smi"}}, ""},
		"the driver's, by a shell":    {v1.Config{Cmd: []string{"/bin/sh", "-c", "nvidia-smi"}}, ""},
		"of no driver":                {v1.Config{Cmd: []string{"nvidia-smithy"}}, "PATH"},
		"in a volume":                 {v1.Config{Entrypoint: []string{"/data/app"}, Volumes: map[string]struct{}{"/data": {}}}, ""},
		"a link into a volume":        {v1.Config{Entrypoint: []string{"/usr/bin/linked"}, Volumes: map[string]struct{}{"/data": {}}}, ""},
		"a link to the driver's":      {v1.Config{Entrypoint: []string{"/usr/bin/smi"}}, ""},
		"a script in a volume":        {v1.Config{Entrypoint: []string{"/bin/sh", "/data/x/run.sh"}, Volumes: map[string]struct{}{"/data/": {}}}, ""},
		"beside a volume":             {v1.Config{Entrypoint: []string{"/database"}, Volumes: map[string]struct{}{"/data": {}}}, "/database is not in the image"},
		"of the kernel":               {v1.Config{Entrypoint: []string{"/proc/self/exe"}}, ""},
		"of podman run --init":        {v1.Config{Entrypoint: []string{"/dev/init", "--"}}, ""},
		"a shell and its words apart": {v1.Config{Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{"/gone 1 2"}}, "/gone is not in the image"},
		"functions of BASH_ENV":       {v1.Config{Entrypoint: []string{"/bin/bash", "-c", "app"}, Env: []string{"BASH_ENV=/etc/bash.bashrc"}}, ""},
		"PATH of the image":           {v1.Config{Entrypoint: []string{"tini", "app"}, Env: []string{"PATH=/usr/bin:/opt"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img, err := mutate.Config(imagetest.New(layer(works(files{
				"usr/bin/bash": program(nil), "opt/app": static(62), "usr/bin/linked": {Symlink: "/data/app"}, "usr/bin/smi": {Symlink: "nvidia-smi"},
			}))), tc.config)
			if err != nil {
				t.Fatal(err)
			}
			checkStart(t, judge(t, img), tc.why, tc.why != "")
		})
	}
}

// TestStartBusybox: its shell has more commands than files.
func TestStartBusybox(t *testing.T) {
	t.Parallel()
	img := []files{withMusl(files{"bin/busybox": static(62), "bin/sh": {Symlink: "/bin/busybox"}})}
	checkStarts(t, []startCase{
		{"by its name", []string{"/bin/sh", "-c", "httpd -f"}, "", img, "", false},
		{"by a path", []string{"/bin/sh", "-c", "/gone -f"}, "", img, "/gone is not in the image", true},
	})
}

// TestStartMusl: the CUDA runtime opens the host's libcuda, which musl cannot load.
func TestStartMusl(t *testing.T) {
	t.Parallel()
	cuda := func(elf imagetest.ELF) imagetest.Entry {
		return imagetest.File(append(imagetest.Align(append(elf.Bytes(), imagetest.Cudart(12040)...)), all124...))
	}
	checkStarts(t, []startCase{
		{"linked into it", []string{"/app"}, "", []files{withMusl(files{"app": cuda(imagetest.ELF{Interp: muslso})})}, "musl", false},
		{"linked into a library", []string{"/app"}, "", []files{withMusl(files{"app": library(imagetest.ELF{Interp: muslso, Needed: []string{"libk.so"}}), "usr/lib/libk.so": cuda(imagetest.ELF{SOName: "libk.so"})})}, "usr/lib/libk.so", false},
		{"its shared library", []string{"/app"}, "", []files{withMusl(files{"app": library(imagetest.ELF{Interp: muslso, Needed: []string{"libcudart.so.12"}}), "usr/lib/libcudart.so.12": gpuFile("libcudart.so.12", 12040)})}, "musl", false},
		{"behind a script", []string{"/run"}, "", []files{withMusl(files{"run": executable("#!/app\n"), "app": cuda(imagetest.ELF{Interp: muslso})})}, "musl", false},
		{"beside it", []string{"/app"}, "", []files{withMusl(files{"app": library(imagetest.ELF{Interp: muslso}), "opt/other": gpuFile("", 12040, all124)})}, "", false},
		{"with glibc", []string{"/app"}, "", []files{works(files{"app": cuda(imagetest.ELF{Interp: ldso})})}, "", false},
		{"static", []string{"/app"}, "", []files{withMusl(files{"app": imagetest.File(append(imagetest.Align(append([]byte(static(62).Data), imagetest.Cudart(12040)...)), all124...))})}, "", false},
	})
}

// TestStartMuslOpens: what may open libcuda by its name may do without, so nobody knows.
func TestStartMuslOpens(t *testing.T) {
	t.Parallel()
	opens := func(elf imagetest.ELF) imagetest.Entry {
		return imagetest.File(append(elf.Bytes(), "\x00libcuda.so.1\x00cuInit\x00"...))
	}
	linked := imagetest.ELF{SOName: "libx.so", Needed: []string{"libc.musl-x86_64.so.1"}}
	for name, tc := range map[string]struct {
		files files
		want  compat.Verdict
	}{
		"program":                {withMusl(files{"app": opens(imagetest.ELF{Interp: muslso})}), compat.Unknown},
		"library":                {withMusl(files{"app": library(imagetest.ELF{Interp: muslso, Needed: []string{"libx.so"}}), "usr/lib/libx.so": opens(linked)}), compat.Unknown},
		"library that it is not": {withMusl(files{"app": library(imagetest.ELF{Interp: muslso}), "usr/lib/libx.so": opens(linked)}), compat.Native},
		"with glibc":             {works(files{"app": opens(imagetest.ELF{Interp: ldso, Needed: []string{"libc.so.6"}})}), compat.Native},
		"needs it too":           {withMusl(files{"app": opens(imagetest.ELF{Interp: muslso, Needed: []string{"libcuda.so.1"}})}), compat.No},
	} {
		report := judge(t, imagetest.WithEnv(started(t, []files{tc.files}, "", "/app"), "CUDA_VERSION=12.4"))
		p := report.Predict(h100)
		if p.Verdict != tc.want || p.Verdict != compat.Native && !strings.Contains(p.Why, "musl") {
			t.Errorf("%s: Predict = %s (%s), want %s", name, p.Verdict, p.Why, tc.want)
		}
	}
}
