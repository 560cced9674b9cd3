// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// plain takes the exec bits from a file.
func plain(e imagetest.Entry) imagetest.Entry { return imagetest.Entry{Data: e.Data, Mode: 0o644} }

// TestStartBits: what nobody may execute does not start.
func TestStartBits(t *testing.T) {
	t.Parallel()
	app, sh := program(nil, "libc.so.6"), executable("#!/bin/sh\n")
	run := func(p string) []string { return []string{p} }
	checkStarts(t, []startCase{
		{"program", run("/app"), "", []files{works(files{"app": plain(app)})}, "/app is not executable", true},
		{"static program", run("/app"), "", []files{works(files{"app": plain(static(62))})}, "/app is not executable", true},
		{"script", run("/run.sh"), "", []files{works(files{"run.sh": plain(sh)})}, "/run.sh is not executable", true},
		{"relative", run("./run.sh"), "/srv", []files{works(files{"srv/run.sh": plain(sh)})}, "/srv/run.sh is not executable", true},
		{"on PATH", run("app"), "", []files{works(files{"usr/bin/app": plain(app)})}, "/usr/bin/app is not executable", true},
		{"on PATH, another behind it", run("app"), "", []files{works(files{"usr/local/bin/app": plain(app), "usr/bin/app": app})}, "", false},
		{"behind a link", run("/entry"), "", []files{works(files{"entry": {Symlink: "usr/bin/run.sh"}, "usr/bin/run.sh": plain(sh)})}, "/usr/bin/run.sh is not executable", true},
		{"behind a link of another layer", run("/opt/go"), "", []files{works(files{"usr/bin/run.sh": plain(sh)}), {"opt/go": {Symlink: "/usr/bin/run.sh"}}}, "/usr/bin/run.sh is not executable", true},
		{"behind a link, changed later", run("/opt/go"), "", []files{works(files{"opt/go": {Symlink: "/srv/run.sh"}, "srv/run.sh": plain(sh)}), {"srv/run.sh": sh}}, "", false},
		{"behind links of folders", run("/opt/bin/run.sh"), "", []files{works(files{"opt": {Symlink: "srv"}, "srv/bin/run.sh": plain(sh)})}, "not executable", true},
		{"hard link", run("/run.sh"), "", []files{works(files{"a/run.sh": plain(sh), "run.sh": {Link: "a/run.sh"}})}, "/run.sh is not executable", true},
		{"hard link with bits", run("/run.sh"), "", []files{works(files{"a/run.sh": plain(sh), "run.sh": {Link: "a/run.sh", Mode: 0o755}})}, "", false},
		{"hard link to what has bits", run("/run.sh"), "", []files{works(files{"a/run.sh": sh, "run.sh": {Link: "a/run.sh"}})}, "", false},
		{"hard link to a lower layer", run("/run.sh"), "", []files{works(files{"a/run.sh": sh}), {"run.sh": {Link: "a/run.sh"}}}, "", false},
		{"taken away later", run("/app"), "", []files{works(files{"app": app}), {"app": plain(app)}}, "/app is not executable", true},
		{"folder of another layer", run("/bin/app"), "", []files{works(nil), {"bin/app": app}}, "", false},
		{"setuid, for its group", run("/app"), "", []files{works(files{"app": {Data: app.Data, Mode: 0o4010}})}, "", false},
	})
}

// TestStartTwice: of two entries with one name either may count.
func TestStartTwice(t *testing.T) {
	t.Parallel()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	imagetest.Tar(w, "run.sh", plain(executable("#!/bin/gone\n")))
	imagetest.Tar(w, "run.sh", executable("#!/bin/sh\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	img := imagetest.New(layer(works(nil)), imagetest.Layer(imagetest.Zstd, data.Bytes()))
	checkStart(t, judge(t, imagetest.WithEntrypoint(img, "/run.sh")), "", false)
}

// TestStartUser: bits that do not serve the user whom the image names.
func TestStartUser(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		user string
		mode int64
		why  string
	}{
		{"1000", 0o700, "by user 0 only"},
		{"1000:1000", 0o744, "by user 0 only"},
		{"1000", 0o755, ""},
		{"1000", 0o710, ""}, // it may be in the group
		{"0", 0o700, ""},
		{"", 0o700, ""},
		{"root", 0o700, ""},
		{"app", 0o700, ""}, // which may be another name of 0
	} {
		img, err := mutate.Config(imagetest.New(layer(works(files{"run.sh": {Data: "#!/bin/sh\n", Mode: tc.mode}}))), v1.Config{Entrypoint: []string{"/run.sh"}, User: tc.user})
		if err != nil {
			t.Fatal(err)
		}
		checkStart(t, judge(t, img), tc.why, tc.why != "")
	}
}

// TestStartScripts: a script starts if what its first line names does.
func TestStartScripts(t *testing.T) {
	t.Parallel()
	python := files{"usr/bin/python3": program(nil, "libc.so.6")}
	with := func(first string, more files) []files {
		all := works(files{"run": executable(first)})
		maps.Copy(all, more)
		return []files{all}
	}
	long := strings.Repeat("x", 300)
	chain := files{}
	for i := range 9 {
		chain[fmt.Sprint("s", i)] = executable(fmt.Sprintf("#!/s%d\n", i+1))
	}
	run := []string{"/run"}
	checkStarts(t, []startCase{
		{"its interpreter", run, "", with("#!/bin/sh\n", nil), "", false},
		{"options, blanks and tabs", run, "", with("#! \t/bin/sh \t-e -u \n", nil), "", false},
		{"no newline", run, "", with("#!/bin/sh", nil), "", false},
		{"none", run, "", with("#!/bin/gone\n", nil), "/bin/gone is not in the image, and /run is a script for it", false},
		{"none, with an option", run, "", with("#!/bin/bash -e\n", nil), "/bin/bash is not in the image", false},
		{"of Windows", run, "", with("#!/bin/sh\r\nset -e\r\n", nil), `/bin/sh\r is not in the image`, false},
		{"deleted later", run, "", append(with("#!/usr/bin/python3\n", python), files{"usr/bin/.wh.python3": {}}), "/usr/bin/python3 is not in the image", false},
		{"of a later layer", run, "", append(with("#!/usr/bin/python3\n", nil), python), "", false},
		{"link to nothing", run, "", with("#!/usr/bin/python\n", files{"usr/bin/python": {Symlink: "python3"}}), "/usr/bin/python is not in the image", false},
		{"link to one", run, "", with("#!/usr/bin/python\n", files{"usr/bin/python": {Symlink: "python3"}, "usr/bin/python3": program(nil)}), "", false},
		{"that is not executable", run, "", with("#!/usr/bin/python3\n", files{"usr/bin/python3": plain(program(nil))}), "/usr/bin/python3 is not executable", false},
		{"that has no C library", run, "", []files{{"run": executable("#!/bin/sh\n"), "bin/sh": program(nil, "libc.so.6")}}, "bin/sh asks for the dynamic linker", false},
		{"that lacks a library", run, "", with("#!/opt/py\n", files{"opt/py": program(nil, "libpython3.11.so.1.0")}), "opt/py needs libpython3.11.so.1.0", false},
		{"of another machine", run, "", with("#!/bin/busybox\n", files{"usr/bin/busybox": static(183)}), "another machine", false},
		{"a text", run, "", with("#!/opt/text\n", files{"opt/text": executable("echo\n")}), "/opt/text is neither a program nor a script", false},
		{"relative", run, "/srv", with("#!tools/sh\n", files{"srv/tools/sh": program(nil)}), "", false},
		{"relative, elsewhere", run, "/", with("#!sh\n", nil), "/sh is not in the image", false},
		{"a script for one", run, "", with("#!/opt/wrap\n", files{"opt/wrap": executable("#!/bin/gone\n")}), "/bin/gone is not in the image", false},
		{"a script that is there", run, "", with("#!/opt/wrap\n", files{"opt/wrap": executable("#!/bin/sh\n")}), "", false},
		{"scripts for scripts", []string{"/s6"}, "", []files{works(chain)}, "/s9 is not in the image", false},
		{"scripts without end", []string{"/a"}, "", []files{works(files{"a": executable("#!/b\n"), "b": executable("#!/a\n")})}, "", false},
		{"longer than the kernel reads", run, "", with("#!/"+long+"\n", nil), "", false},
		{"env", run, "", with("#!/usr/bin/env python3\n", python), "", false},
		{"env, none", run, "", with("#! /usr/bin/env python3\n", nil), `"python3" is in no directory of PATH`, false},
		{"env, none on PATH", run, "", with("#!/usr/bin/env python3\n", files{"opt/conda/bin/python3": program(nil)}), `"python3" is in no directory of PATH`, false},
		{"env that lacks a library", run, "", with("#!/usr/bin/env py\n", files{"usr/bin/py": program(nil, "libpy.so")}), "usr/bin/py needs libpy.so", false},
		{"env, another on PATH", run, "", with("#!/usr/bin/env py\n", files{"usr/local/bin/py": program(nil, "libpy.so"), "usr/bin/py": program(nil)}), "", false},
		{"env with words", run, "", with("#!/usr/bin/env python3 -u\n", python), `"python3 -u" is in no directory of PATH`, false},
		{"env that splits", run, "", with("#!/usr/bin/env -S python3 -u\n", python), "", false},
		{"env that splits, none", run, "", with("#!/usr/bin/env -S A=1 python3 -u\n", nil), `"python3" is in no directory of PATH`, false},
		{"env that splits what it knows", run, "", with("#!/usr/bin/env -S ${PY} -u\n", nil), "", false},
		{"env not there", run, "", []files{{"run": executable("#!/usr/bin/env sh\n"), "bin/sh": static(62)}}, "/usr/bin/env is not in the image", false},
		{"env is a script", run, "", with("#!/opt/env python3\n", files{"opt/env": executable("#!/bin/sh\n")}), "", false},
	})
}

// TestStartFormat: what is neither program nor script, and programs without a dynamic
// section.
func TestStartFormat(t *testing.T) {
	t.Parallel()
	run := []string{"/app"}
	app := func(e imagetest.Entry) []files { return []files{works(files{"app": e})} }
	arm32 := []byte(static(40).Data)
	arm32[4] = 1
	checkStarts(t, []startCase{
		{"text", run, "", app(executable("echo hello\n")), "/app is neither a program nor a script", true},
		{"a blank before the line", run, "", app(executable(" #!/bin/sh\n")), "neither a program nor a script", true},
		{"a byte order mark before it", run, "", app(executable("\ufeff#!/bin/sh\n")), "neither a program nor a script", true},
		{"empty", run, "", app(executable("")), "neither a program nor a script", true},
		{"empty line", run, "", app(executable("#!\n")), "", false},
		{"Java archive", run, "", app(executable("PK\x03\x04\x14\x00\x00\x00")), "", false},
		{"what a shell starts", []string{"/bin/sh", "-c", "/app"}, "", app(executable("echo hello\n")), "", false},
		{"what tini starts", []string{"tini", "--", "/app"}, "", app(executable("echo hello\n")), "", false},
		{"static, for arm64", run, "", app(static(183)), "app is a program for another machine than the image", false},
		{"static, for 32-bit arm", run, "", app(imagetest.File(arm32)), "another machine", false},
		{"static, on PATH", []string{"app"}, "", []files{works(files{"usr/bin/app": static(183)})}, "another machine", false},
		{"static, behind a link", run, "", []files{works(files{"app": {Symlink: "opt/app"}, "opt/app": static(243)})}, "another machine", false},
		{"static, hard link", run, "", []files{works(files{"a/app": static(183), "app": {Link: "a/app"}})}, "another machine", false},
		{"static, deleted and there again", run, "", []files{works(files{"app": static(183)}), {"app": static(62)}}, "", false},
		{"static, 32-bit", run, "", app(static(3)), "", false},
		{"cut off", run, "", app(executable("\x7fELF\x02\x01")), "", false},
	})
	arm := imagetest.ForArch(imagetest.New(layer(files{"app": static(62)})), "arm64")
	checkStart(t, judge(t, imagetest.WithEntrypoint(arm, "/app")), "another machine", false)
	arm = imagetest.ForArch(imagetest.New(layer(files{"app": static(183)})), "arm64")
	checkStart(t, judge(t, imagetest.WithEntrypoint(arm, "/app")), "", false)
}
