// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
)

// exits is a static program for x86-64 that ends at once: exit(0).
func exits() []byte {
	code := []byte{0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05}
	data := make([]byte, 120, 120+len(code))
	copy(data, static(62).Data[:64])
	le := binary.LittleEndian
	const base = 0x400000
	le.PutUint64(data[24:], base+120)
	le.PutUint64(data[32:], 64)
	data[56] = 1
	data = append(data, code...)
	le.PutUint32(data[64:], 1)
	le.PutUint32(data[68:], 5)
	le.PutUint64(data[80:], base)
	le.PutUint64(data[96:], uint64(len(data)))
	le.PutUint64(data[104:], uint64(len(data)))
	le.PutUint64(data[112:], 0x1000)
	return data
}

// TestKernelJudges has the kernel start what an image would: files of a folder that are
// those of the image too. DIR is the folder.
func TestKernelJudges(t *testing.T) {
	t.Parallel()
	if runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64" {
		require.Missing(t, "amd64", errors.New("the program is for another machine"))
	}
	prog := imagetest.File(exits())
	chain := func(n int) files {
		all := files{"app": executable("#!DIR/s1\n")}
		for i := 1; i < n; i++ {
			all[fmt.Sprint("s", i)] = executable(fmt.Sprintf("#!DIR/s%d\n", i+1))
		}
		all[fmt.Sprint("s", n)] = prog
		return all
	}
	line := func(s string) files { return files{"app": executable(s)} }
	long := strings.Repeat("/.", 40) + "/prog"
	for name, tc := range map[string]struct {
		files  files
		silent bool // nothing is said although it does not start
	}{
		"program":                  {files{"app": prog}, false},
		"program without bits":     {files{"app": plain(prog)}, false},
		"program for all to start": {files{"app": {Data: prog.Data, Mode: 0o111}}, false},
		"link":                     {files{"app": {Symlink: "prog"}}, false},
		"link to nothing":          {files{"app": {Symlink: "none"}}, false},
		"link to no bits":          {files{"app": {Symlink: "x"}, "x": plain(prog)}, true}, // in a folder where few programs are
		"script":                   {line("#!DIR/prog\n"), false},
		"script without bits":      {files{"app": plain(executable("#!DIR/prog\n"))}, false},
		"no newline":               {line("#!DIR/prog"), false},
		"blanks and tabs":          {line("#! \t DIR/prog \t -a b \t\n"), false},
		"of Windows":               {line("#!DIR/prog\r\n"), false},
		"of Windows, an option":    {line("#!DIR/prog -a\r\n"), false},
		"no interpreter":           {line("#!DIR/none\n"), false},
		"relative":                 {line("#!prog\n"), false},
		"relative, none":           {line("#!none\n"), false},
		"folder":                   {line("#!DIR\n"), false},
		"below a file":             {line("#!DIR/prog/x\n"), false},
		"quoted":                   {line("#!\"DIR/prog\"\n"), false},
		"interpreter without bits": {files{"app": executable("#!DIR/x\n"), "x": plain(prog)}, false},
		"interpreter by a link":    {files{"app": executable("#!DIR/x\n"), "x": {Symlink: "prog"}}, false},
		"interpreter is text":      {files{"app": executable("#!DIR/x\n"), "x": executable("echo\n")}, false},
		"interpreter is empty":     {files{"app": executable("#!DIR/x\n"), "x": executable("")}, false},
		"text":                     {line("echo hello\n"), false},
		"empty":                    {line(""), false},
		"blank before":             {line(" #!DIR/prog\n"), false},
		"newline before":           {line("\n#!DIR/prog\n"), false},
		"byte order mark":          {line("\ufeff#!DIR/prog\n"), false},
		"only the mark":            {line("#!\n"), true},
		"mark and blanks":          {line("#!  \t\nDIR/prog\n"), true},
		"zero byte":                {line("#!DIR/prog\x00x\n"), false},
		"binary":                   {line("\x01\x02\x03\x00"), true},
		"archive":                  {line("PK\x03\x04\x00\x00\x00\x00"), true},
		"cut off program":          {files{"app": imagetest.File(exits()[:40])}, true},
		"long line":                {line("#!DIR" + long + "\n"), false},
		"long option":              {line("#!DIR/prog " + strings.Repeat("x", 400) + "\n"), false},
		"too long a name":          {line("#!DIR" + strings.Repeat("/.", 150) + "/prog\n"), true},
		"2 scripts":                {chain(2), false},
		"4 scripts":                {chain(4), false},
		"5 scripts":                {chain(5), false},
		"6 scripts":                {chain(6), true},
		"9 scripts":                {chain(9), true},
		"circle":                   {files{"app": executable("#!DIR/x\n"), "x": executable("#!DIR/app\n")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			image := works(files{strings.TrimPrefix(dir, "/") + "/prog": prog})
			write(t, filepath.Join(dir, "prog"), prog)
			for name, e := range tc.files {
				e.Data = strings.ReplaceAll(e.Data, "DIR", dir)
				image[strings.TrimPrefix(dir, "/")+"/"+name] = e
				write(t, filepath.Join(dir, name), e)
			}
			err := error(syscall.ETXTBSY)
			for errors.Is(err, syscall.ETXTBSY) { // a child of another test that is being forked holds the file that was written
				cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "app"))
				cmd.Dir = dir
				err = cmd.Run()
			}
			why := judge(t, started(t, []files{image}, dir, filepath.Join(dir, "app"))).Portability.CannotStart
			if (why != "") != (err != nil && !tc.silent) {
				t.Errorf("verify says %q, the kernel %v", why, err)
			}
		})
	}
}

func write(t *testing.T, file string, e imagetest.Entry) {
	t.Helper()
	err := error(nil)
	if e.Symlink != "" {
		err = os.Symlink(e.Symlink, file)
	} else if err = os.WriteFile(file, []byte(e.Data), 0o600); err == nil {
		err = os.Chmod(file, os.FileMode(e.Mode))
	}
	if err != nil {
		t.Fatal(err)
	}
}
