// SPDX-License-Identifier: Apache-2.0

//go:build linux

package view_test

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/verify/internal/layer"
	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/view"
)

// leastPrograms is how many programs of the host must be compared for the
// comparison to mean something.
const leastPrograms = 200

// TestHost takes the machine's own programs and libraries for a layer, and wants
// for every program exactly the files that the machine's dynamic linker lists, and the symbols that
// it finds undefined, where all files of its process are known.
func TestHost(t *testing.T) {
	t.Parallel()
	ldso := map[string]string{"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}[runtime.GOARCH]
	if _, err := os.Stat(ldso); ldso == "" || err != nil {
		t.Skipf("needs glibc's dynamic linker on this machine: %v", err)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeHost(w)) }()
	facts, err := layer.Walk(r, layer.Options{MaxEntries: 5_000_000}, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	im := view.LoaderImage(facts)
	programs := slices.DeleteFunc(im.Programs([]string{"usr/bin", "usr/sbin"}), func(f *loader.File) bool { return f.Interp != ldso })
	if len(programs) < leastPrograms {
		t.Fatalf("%d programs on this machine, want at least %d", len(programs), leastPrograms)
	}
	var wg sync.WaitGroup
	next := make(chan int)
	ours, symbols, judged := make([][]string, len(programs)), make([][]string, len(programs)), 0
	for i, f := range programs {
		c := im.Closure(f)
		if ours[i], symbols[i] = closure(c), undefined(im, c); symbols[i] != nil {
			judged++
		}
	}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				files, lacks := listed(t, ldso, programs[i].Real)
				if diff := cmp.Diff(files, ours[i]); diff != "" {
					t.Errorf("%s (-%s +ours):\n%s", programs[i].Real, ldso, diff)
				}
				if diff := cmp.Diff(lacks, symbols[i]); diff != "" && symbols[i] != nil {
					t.Errorf("undefined in %s (-%s +ours):\n%s", programs[i].Real, ldso, diff)
				}
			}
		})
	}
	for i := range programs {
		next <- i
	}
	close(next)
	wg.Wait()
	t.Logf("%d programs, of %d the symbols, %d files in all", len(programs), judged, len(im.Files))
	if judged < leastPrograms {
		t.Errorf("of %d programs the symbols are known, want at least %d", judged, leastPrograms)
	}
}

// closure returns the real paths of all that is loaded beside the program and the
// dynamic linker, and "!name" for what is missing, sorted.
func closure(c loader.Closure) []string {
	all := map[string]bool{}
	for _, l := range c.Loaded[1:] {
		if !strings.HasPrefix(l.SOName, "ld-linux") {
			all["/"+l.Real] = true
		}
	}
	for _, m := range c.Missing {
		if m.Version == "" {
			all["!"+m.Name] = true
		}
	}
	return sorted(all)
}

// undefined returns the symbols that a process lacks, nil if that is not known.
func undefined(im *loader.Image, c loader.Closure) []string {
	var files []*loader.File
	for _, l := range c.Loaded {
		files = append(files, l.File)
	}
	lacking, known := im.Unbound(files)
	if !known {
		return nil
	}
	all := map[string]bool{}
	for _, u := range lacking {
		all[u.Name+" "+u.Version+" /"+u.By.Real] = true
	}
	return sorted(all)
}

func sorted(set map[string]bool) []string {
	list := []string{}
	for s := range set {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

var (
	listLine      = regexp.MustCompile(`(?m)^\s(\S+) => (\S+)`)
	undefinedLine = regexp.MustCompile(`(?m)^undefined symbol: ([^\s,]+)(?:, version (\S+))?\t\((\S+)\)$`)
)

// listed asks the machine's dynamic linker the same, as ldd -r does.
func listed(t *testing.T, ldso, program string) (files, lacks []string) {
	cmd := exec.CommandContext(t.Context(), ldso, "/"+program)
	cmd.Env = []string{"LC_ALL=C", "LD_TRACE_LOADED_OBJECTS=1", "LD_WARN=yes", "LD_BIND_NOW=yes"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // fails where a library is missing, which the output says
	all, undefined := map[string]bool{}, map[string]bool{}
	for _, m := range undefinedLine.FindAllStringSubmatch(stderr.String(), -1) {
		final, _ := filepath.EvalSymlinks(m[3])
		undefined[m[1]+" "+m[2]+" "+final] = true
	}
	for _, m := range listLine.FindAllStringSubmatch(string(out), -1) {
		final, err := filepath.EvalSymlinks(m[2])
		switch {
		case strings.HasPrefix(filepath.Base(m[1]), "ld-linux"):
		case m[2] == "not":
			all["!"+m[1]] = true
		case err != nil:
			t.Errorf("%s: %v", program, err)
		default:
			all[final] = true
		}
	}
	return sorted(all), sorted(undefined)
}

// writeHost writes the machine's programs, libraries and linker configuration as
// an archive: of files, those that could matter; of links, all.
func writeHost(w io.Writer) error {
	archive := tar.NewWriter(w)
	for _, top := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/bin", "/usr/sbin", "/usr/local/lib"} {
		err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return ignoreMissing(err)
			}
			return writeEntry(archive, p, d)
		})
		if err != nil {
			return err
		}
	}
	return archive.Close()
}

func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

func writeEntry(archive *tar.Writer, p string, d fs.DirEntry) error {
	if d.Type()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(p)
		if err != nil {
			return err
		}
		return archive.WriteHeader(&tar.Header{Name: p[1:], Typeflag: tar.TypeSymlink, Linkname: target})
	}
	inBin := filepath.Base(filepath.Dir(p)) == "bin" || filepath.Base(filepath.Dir(p)) == "sbin"
	if !d.Type().IsRegular() || !inBin && !strings.HasPrefix(p, "/etc/") && !strings.Contains(d.Name(), ".so") {
		return nil
	}
	data, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(data, []byte("\x7fELF")) && !strings.HasPrefix(p, "/etc/") {
		return nil
	}
	if err := archive.WriteHeader(&tar.Header{Name: p[1:], Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err = archive.Write(data)
	return err
}
