// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// TestUseIsNoted: facts that are used are not the oldest any more.
func TestUseIsNoted(t *testing.T) {
	t.Parallel()
	dir := ownDir(t)
	img := imagetest.New(layer(map[string]imagetest.Entry{"a": {Data: "x"}}))
	judgeIn := func() {
		if r, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", img); err != nil || r.Verdict != verify.Pass {
			t.Fatalf("%s, %v", r.Verdict, err)
		}
	}
	judgeIn()
	files, err := filepath.Glob(filepath.Join(dir, "*.facts"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	old := time.Now().Add(-80 * 24 * time.Hour)
	if err := os.Chtimes(files[0], old, old); err != nil {
		t.Fatal(err)
	}
	judgeIn()
	if info, err := os.Stat(files[0]); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("last use is %v, %v", info.ModTime(), err)
	}
}

// TestAnotherBuildReadsAnew: facts serve copies of the program that wrote them, and no other
// build; without an ID of the toolchain's none are kept. The programs are copies of this test with
// other IDs.
func TestAnotherBuildReadsAnew(t *testing.T) {
	t.Parallel()
	const cache, read = "CUDABUILD_TEST_CACHE", "bytes read: "
	if dir := os.Getenv(cache); dir != "" {
		r, err := verify.New(verify.Options{CacheDir: dir}).Image(t.Context(), "x", imagetest.New(layer(map[string]imagetest.Entry{"a": {Data: "x"}})))
		fmt.Fprintln(os.Stdout, read, r.Stats.BytesRead, err)
		return
	}
	program, note := ownProgram(t)
	other := slices.Clone(program)
	other[note.Offset+20] ^= 1 // a letter of the ID
	own := slices.Clone(program)
	id := own[note.Offset+16:]
	id[bytes.IndexByte(id, '/')] = '.'
	noID := slices.Clone(program)
	copy(noID[note.Offset+4:], []byte{0, 0, 0, 0})
	dir := ownDir(t)
	for i, tc := range []struct {
		program []byte
		known   bool
	}{{program, false}, {program, true}, {other, false}, {other, true}, {own, false}, {own, false}, {noID, false}, {noID, false}} {
		at := filepath.Join(t.TempDir(), "verify.test")
		if err := os.WriteFile(at, tc.program, 0o700); err != nil {
			t.Fatal(err)
		}
		var out []byte
		err := error(unix.ETXTBSY)
		for errors.Is(err, unix.ETXTBSY) { // until programs that other tests started meanwhile have closed the file
			cmd := exec.CommandContext(t.Context(), at, "-test.run=^TestAnotherBuildReadsAnew$")
			cmd.Env = append(os.Environ(), cache+"="+dir)
			out, err = cmd.CombinedOutput()
		}
		if known := strings.Contains(string(out), read+" 0 "); err != nil || known != tc.known || !strings.Contains(string(out), read) {
			t.Errorf("program %d: %v, %s want known %t", i, err, out, tc.known)
		}
	}
}

// ownProgram is this test, and the note with its build ID.
func ownProgram(t *testing.T) (program []byte, note *elf.Section) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if program, err = os.ReadFile(self); err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	return program, file.Section(".note.go.buildid")
}

// TestBuildOf says why a program has no build ID.
func TestBuildOf(t *testing.T) {
	t.Parallel()
	program, note := ownProgram(t)
	id := program[note.Offset+16:][:note.Size-16]
	with := func(old, with string) []byte {
		out := slices.Clone(program)
		copy(out[note.Offset+16:], strings.ReplaceAll(string(id), old, with))
		return out
	}
	size := func(n byte) []byte {
		out := slices.Clone(program)
		copy(out[note.Offset+4:], []byte{n, 0, 0, n})
		return out
	}
	for name, tc := range map[string]struct {
		program []byte
		why     string // "" for one that has an ID
	}{
		"toolchain":          {program, ""},
		"one word":           {with("/", "."), "is not one of the Go toolchain"},
		"none":               {size(0), "is not one of the Go toolchain"},
		"longer than it is":  {size(200), "is not one of the Go toolchain"},
		"program without it": {imagetest.ELF{}.Bytes(), "has no build ID"},
		"no program":         {[]byte("x"), "cannot be read"},
		"no file":            {nil, "no such file"},
	} {
		at := filepath.Join(t.TempDir(), "program")
		if tc.program != nil {
			if err := os.WriteFile(at, tc.program, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := verify.BuildOf(at)
		if (err == nil) != (tc.why == "") || (got == "") != (err != nil) || err != nil && !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tc.why)
		}
	}
}
