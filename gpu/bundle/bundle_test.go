// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/gpu/bundle"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// TestWrite unpacks a bundle with the system's tar and starts it.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	src := source(t, "oci:out/images:12.4-nbody-debian13", "hello")
	programs := map[string]string{"cudabuild": program, "runc": program}
	file, again := filepath.Join(dir, "a.tar.gz"), filepath.Join(dir, "b.tar.gz")
	for _, name := range []string{file, again} {
		if err := bundle.Write(t.Context(), name, programs, []image.Source{src}); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := read(t, file), read(t, again); !bytes.Equal(a, b) {
		t.Error("two bundles of the same things differ")
	}
	if out, err := exec.Command("tar", "-C", dir, "-xf", file).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	for _, odd := range []string{"a b", "a;touch X;b", "$(touch X)", "-x"} { // wherever it is unpacked
		place := filepath.Join(dir, odd)
		if err := os.Mkdir(place, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("tar", "-C", place, "-xf", file).CombinedOutput(); err != nil {
			t.Fatalf("tar: %v\n%s", err, out)
		}
		run := exec.Command("sh", "--", filepath.Join(odd, bundle.Dir, "run"))
		run.Dir = dir
		if out, err := run.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "oci:"+filepath.Join(place, bundle.Dir, "images")+"\n") {
			t.Errorf("run in %q: %v\n%s", odd, err, out)
		}
		if _, err := os.Stat(filepath.Join(dir, "X")); err == nil {
			t.Errorf("a shell has run %q", odd)
		}
	}
	out, err := exec.Command(filepath.Join(dir, bundle.Dir, "run"), "--repeat", "3").CombinedOutput()
	if text := string(out); err != nil || !strings.Contains(text, "gpu --state-dir ") || !strings.HasSuffix(text, " --repeat 3 oci:"+filepath.Join(dir, bundle.Dir, "images")+"\n") {
		t.Errorf("run: %v\n%s", err, text)
	}
	sources, closer, err := image.Open(t.Context(), "oci:"+filepath.Join(dir, bundle.Dir, "images")+":12.4-nbody-debian13", image.OpenOptions{})
	if err != nil || len(sources) != 1 || sources[0].Digest != src.Digest {
		t.Fatalf("the image in the bundle: %v, %v, want %s", sources, err, src.Digest)
	}
	closer.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, ".bundle-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWriteTooBig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := make([]byte, bundle.MaxBytes+1<<20)
	state := uint64(1)
	for i := range big { // what does not compress
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		big[i] = byte(state)
	}
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, big, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bundle.tar.gz")
	if err := bundle.Write(t.Context(), file, map[string]string{"cudabuild": program}, nil); err == nil || !strings.Contains(err.Error(), "fewer images") {
		t.Errorf("Write: %v, want that it is too big", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func source(t *testing.T, ref, text string) image.Source {
	t.Helper()
	img := imagetest.New(imagetest.Layer(imagetest.Gzip, imagetest.Files(map[string]imagetest.Entry{"hello": {Data: text}})))
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return image.Source{Ref: ref, Digest: digest, Image: img}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestWriteKeepsDevices: the bundle is written to what is no file, which stays.
func TestWriteKeepsDevices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	if err := bundle.Write(t.Context(), link, nil, []image.Source{source(t, "x", "hello")}); err != nil {
		t.Error(err)
	}
	if err := bundle.Write(t.Context(), "/dev/full", nil, []image.Source{source(t, "x", "hello")}); err == nil {
		t.Error("a full device takes a bundle")
	}
	for name, want := range map[string]os.FileMode{link: os.ModeSymlink, os.DevNull: os.ModeDevice | os.ModeCharDevice, "/dev/full": os.ModeDevice | os.ModeCharDevice} {
		if info, err := os.Lstat(name); err != nil || info.Mode().Type() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
