// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package fatbin_test

import (
	"bufio"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/verify/internal/fatbin"
)

// cudaPackages are Debian 13's: cuobjdump, and libraries of all the kinds that
// CUDA 12.4 has. About 700 MB to download, 1.9 GB unpacked.
var cudaPackages = []string{
	"nvidia-cuda-toolkit", "libcublas12", "libcublaslt12", "libcufft11", "libcufftw11", "libcurand10",
	"libcusparse12", "libnppif12", "libnppitc12", "libnvjpeg12",
}

// TestAgainstCuobjdump compares every entry of every library with what NVIDIA's own
// tool lists. That looks into the sections for device code only; cuFFT and cuSPARSE
// keep more of it among their data. The packages are downloaded and unpacked, never installed;
// CUDABUILD_CUDA_ROOT names a folder where they are unpacked already, and more files
// to look at may lie in it.
func TestAgainstCuobjdump(t *testing.T) {
	root := os.Getenv("CUDABUILD_CUDA_ROOT")
	if root == "" {
		root = t.TempDir()
		if err := download(t.Context(), root); err != nil {
			require.Missing(t, "cuobjdump", err)
		}
	}
	made := compile(t, root)
	tool := filepath.Join(root, "usr/bin/cuobjdump")
	files, entries := 0, 0
	look := func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		ours, all, err := list(path)
		if err != nil || len(all) == 0 {
			return err
		}
		theirs, err := cuobjdump(t.Context(), tool, path)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: %d entries, cuobjdump has %d (-cuobjdump +ours):\n%.4000s", path, len(ours), len(theirs), diff)
		}
		t.Logf("%s: %d entries, and %d that lie elsewhere", filepath.Base(path), len(ours), len(all)-len(ours))
		if len(all) < len(ours) {
			t.Errorf("%s: %d entries in sections, %d in the file", path, len(ours), len(all))
		}
		files, entries = files+1, entries+len(ours)
		return nil
	}
	for _, dir := range []string{root, made} {
		if err := filepath.WalkDir(dir, look); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d entries in %d files", entries, files)
	if entries < 200 {
		t.Errorf("compared %d entries, want at least 200", entries)
	}
}

// download fetches the packages from the repository that this machine has, and
// unpacks them.
func download(ctx context.Context, root string) error {
	state := filepath.Join(root, "apt")
	for _, dir := range []string{"state/lists/partial", "cache/archives/partial", "deb"} {
		if err := os.MkdirAll(filepath.Join(state, dir), 0o755); err != nil {
			return err
		}
	}
	uris, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Component: main").Output()
	if err != nil {
		return fmt.Errorf("apt-get indextargets: %w", err)
	}
	mirror, _, _ := strings.Cut(string(uris), "\n")
	if mirror == "" {
		return errors.New("no Debian repository is configured")
	}
	list := filepath.Join(state, "sources.list")
	line := "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " + mirror + " trixie contrib non-free\n"
	if err := os.WriteFile(list, []byte(line), 0o644); err != nil {
		return err
	}
	apt := []string{
		"-q", "-o", "Dir::Etc::SourceList=" + list, "-o", "Dir::Etc::SourceParts=/dev/null", "-o", "Dir::State=" + state + "/state",
		"-o", "Dir::Cache=" + state + "/cache", "-o", "Dir::State::status=/dev/null", "-o", "APT::Architecture=amd64", "-o", "APT::Sandbox::User=root",
	}
	for _, args := range [][]string{{"update"}, append([]string{"download"}, cudaPackages...)} {
		cmd := exec.CommandContext(ctx, "apt-get", append(slices.Clone(apt), args...)...)
		cmd.Dir = filepath.Join(state, "deb")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, out)
		}
	}
	packages, err := filepath.Glob(filepath.Join(state, "deb", "*.deb"))
	for _, deb := range packages {
		if out, unpackErr := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, root).CombinedOutput(); unpackErr != nil {
			err = errors.Join(err, fmt.Errorf("dpkg-deb: %w\n%s", unpackErr, out))
		}
	}
	return errors.Join(err, os.RemoveAll(state))
}

// list returns our entries of a file, in its order, and of these how many lie in the
// sections that cuobjdump looks into.
func list(path string) (inSections, all []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	parsed, err := elf.NewFile(f)
	switch {
	case err == nil:
		for _, s := range parsed.Sections {
			if s.Name == ".nv_fatbin" || s.Name == "__nv_relfatbin" {
				err = errors.Join(err, scanInto(&inSections, s.Open(), int64(s.FileSize)))
			}
		}
	case filepath.Ext(path) == ".fatbin":
		err = scanInto(&all, f, info.Size())
		return all, all, err
	default: // a script, a header
		return nil, nil, nil
	}
	return inSections, all, errors.Join(err, scanInto(&all, f, info.Size()))
}

// compile makes fatbins of architectures with and without suffix, compressed and
// not, which the libraries do not all have.
func compile(t *testing.T, root string) (dir string) {
	t.Helper()
	run := func(name string, args ...string) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(root, "usr/bin", name), args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	dir = t.TempDir()
	var images []string
	for _, arch := range []string{"52", "80", "90", "90a"} {
		ptx, cubin := filepath.Join(dir, arch+".ptx"), filepath.Join(dir, arch+".cubin")
		text := fmt.Sprintf(".version 8.4\n.target sm_%s\n.address_size 64\n.visible .entry k() { ret; }\n", arch)
		if err := os.WriteFile(ptx, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		run("ptxas", "-arch", "sm_"+arch, ptx, "-o", cubin)
		images = append(images, "--image3=kind=elf,sm="+arch+",file="+cubin, "--image3=kind=ptx,sm="+arch+",file="+ptx)
	}
	for name, option := range map[string]string{"default": "", "compressed": "--compress-all", "plain": "--compress=false"} {
		args := append([]string{"--64", "--create=" + filepath.Join(dir, name+".fatbin")}, images...)
		if option != "" {
			args = append(args, option)
		}
		run("fatbinary", args...)
	}
	return dir
}

func scanInto(entries *[]string, r io.Reader, size int64) error {
	s := fatbin.NewScanner(size, func(e fatbin.Entry) {
		if e.Kind != fatbin.Other {
			*entries = append(*entries, e.String())
		}
	})
	_, err := io.Copy(s, r)
	if s.Malformed() > 0 {
		err = errors.Join(err, fmt.Errorf("%d malformed containers", s.Malformed()))
	}
	return err
}

var (
	blockHead   = regexp.MustCompile(`^(?:Fatbin|member .*:) ?(elf|ptx|.*) code:$`)
	codeVersion = regexp.MustCompile(`^code version = \[(\d+),(\d+)\]$`)
)

// cuobjdump returns NVIDIA's entries of a file, in the same words.
func cuobjdump(ctx context.Context, tool, path string) ([]string, error) {
	cmd := exec.CommandContext(ctx, tool, "-all", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var entries []string
	var kind, arch string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		if m := blockHead.FindStringSubmatch(line); m != nil {
			kind = m[1]
			continue
		}
		if a, ok := strings.CutPrefix(line, "arch = "); ok {
			arch = a
		}
		switch m := codeVersion.FindStringSubmatch(line); {
		case m == nil:
		case kind == "elf":
			entries = append(entries, "elf "+arch)
		case kind == "ptx":
			entries = append(entries, "ptx "+m[1]+"."+m[2]+" "+arch)
		}
	}
	return entries, errors.Join(lines.Err(), cmd.Wait())
}
