// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/pkg/archive"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	needs "github.com/cudabuild/cudabuild/internal/require"
)

// judgeTools are what an unpacked root is judged by, and what goes into it.
type judgeTools struct {
	hook string            // nvidia-cdi-hook
	data map[string]string // what was compiled or is the machine's, by name
}

// compiled is what a file of the grid is made of: arguments of gcc.
var compiled = map[string][]string{
	"plain":   libcudaOf(),
	"allows":  libcudaOf("-DSECTION=\".note.cuda.fwd_compatibility\"", `-DNOTE="{\"Format\":1,\"Driver\":[470,535,550]}"`),
	"forbids": libcudaOf("-DSECTION=\".note.cuda.fwd_compatibility\"", `-DNOTE="{\"Format\":1,\"Driver\":[450]}"`),
	"broken":  libcudaOf("-DSECTION=\".note.cuda.fwd_compatibility\"", `-DNOTE="{\"Format\":1,\"Driver\":[450"`),
	"renamed": libcudaOf("-DSECTION=\".note.cuda.other\"", `-DNOTE="{\"Format\":1,\"Driver\":[450]}"`),

	"helper":         helperOf(),
	"helper-runpath": helperOf("-Wl,--enable-new-dtags,-rpath,/usr/local/cuda/compat"),
	"helper-needs":   helperOf("-Wl,--no-as-needed,--enable-new-dtags,-rpath,$ORIGIN/../other", "LIBCUDA"),
	"via":            probeOf("-DHELPER", "HERE/helper", "-Wl,--enable-new-dtags,-rpath,/opt/app:/opt/other"),
	"via-rpath":      probeOf("-DHELPER", "HERE/helper", "-Wl,--disable-new-dtags,-rpath,/opt/app:/opt/other"),
	"via-needs":      probeOf("-DHELPER", "HERE/helper", "-Wl,--no-as-needed,--enable-new-dtags,-rpath,/opt/app:/opt/other", "LIBCUDA"),

	"dlopen":        probeOf(),
	"needs":         probeOf("-Wl,--no-as-needed", "LIBCUDA"),
	"runpath":       probeOf("-Wl,--enable-new-dtags,-rpath,/usr/local/cuda/compat"),
	"rpath":         probeOf("-Wl,--disable-new-dtags,-rpath,/usr/local/cuda/compat"),
	"runpath-other": probeOf("-Wl,--enable-new-dtags,-rpath,/opt/none:/opt/other"),
	"origin":        probeOf("-Wl,--enable-new-dtags,-rpath,$ORIGIN/../other"),
	"rpath-origin":  probeOf("-Wl,--disable-new-dtags,-rpath,$ORIGIN/../other"),
	"needs-origin":  probeOf("-Wl,--no-as-needed,--enable-new-dtags,-rpath,$ORIGIN/../other", "LIBCUDA"),
}

func libcudaOf(more ...string) []string {
	return append([]string{"-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libcuda.so.1", "testdata/hookgrid/libcuda.c"}, more...)
}

// helperOf is a library; newJudge adds what makes verify take it for one with the CUDA runtime.
func helperOf(more ...string) []string {
	return probeOf(append([]string{"-DLIBRARY", "-shared", "-fPIC", "-Wl,-soname,libhelper.so"}, more...)...)
}

func probeOf(more ...string) []string { return append([]string{"testdata/hookgrid/probe.c"}, more...) }

// newJudge compiles libraries and programs, which are then those of every case.
func newJudge(t *testing.T) judgeTools {
	t.Helper()
	j := judgeTools{hook: needs.Tool(t, filepath.Join("..", "bin"), "nvidia-cdi-hook"), data: map[string]string{"": ""}}
	if _, err := exec.LookPath("gcc"); err != nil {
		needs.Missing(t, "gcc", err)
	}
	if runtime.GOARCH != "amd64" {
		needs.Missing(t, "amd64", errors.New("the grid's roots are for it"))
	}
	dir := t.TempDir()
	libcuda := filepath.Join(dir, "libcuda.so.1")
	j.compile(t, libcuda, compiled["plain"])
	files := strings.NewReplacer("LIBCUDA", libcuda, "HERE", dir)
	for _, name := range slices.Sorted(maps.Keys(compiled)) { // helpers come before what is linked with them
		out := filepath.Join(dir, name)
		var args []string
		for _, a := range compiled[name] {
			args = append(args, files.Replace(a))
		}
		j.compile(t, out, args)
		if j.data[name] = read(t, out); strings.HasPrefix(name, "helper") {
			j.data[name] += string(imagetest.Cudart(12040))
		}
	}
	cut := []byte(j.data["forbids"]) // no section headers: offset and count in the header are 0
	copy(cut[40:48], make([]byte, 8))
	copy(cut[58:64], make([]byte, 6))
	j.data["cut"] = string(cut)
	for name, file := range map[string]string{"libc": "libc.so.6", "ld.so": "ld-linux-x86-64.so.2"} {
		where, err := exec.CommandContext(t.Context(), "gcc", "-print-file-name="+file).Output()
		if err != nil {
			t.Fatal(err)
		}
		j.data[name] = read(t, strings.TrimSpace(string(where)))
	}
	return j
}

func (j judgeTools) compile(t *testing.T, out string, args []string) {
	t.Helper()
	if text, err := exec.CommandContext(t.Context(), "gcc", append([]string{"-w", "-o", out}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %q: %v: %s", args, err, text)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// archived writes a layer, hard links last: what they lead to must be there.
func archived(f files) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	names := slices.Collect(maps.Keys(f))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(f[a].Link, f[b].Link), cmp.Compare(a, b))
	})
	for _, name := range names {
		imagetest.Tar(w, name, f[name])
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// unpack applies the layers in a folder.
func unpack(t *testing.T, layers [][]byte) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		if _, err := archive.Apply(t.Context(), root, bytes.NewReader(l)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// loaded puts the host's library into an unpacked root, runs the hooks and then the
// program there. It returns the real path of the libcuda that the program has loaded,
// "host" or "none".
func (j judgeTools) loaded(t *testing.T, root string, c hookCase) string {
	t.Helper()
	at := path.Join(c.vars["F"], "libcuda.so."+c.vars["V"])
	host := map[string]imagetest.Entry{at: imagetest.File([]byte(j.data["plain"]))}
	if _, err := archive.Apply(t.Context(), root, bytes.NewReader(imagetest.Files(host))); err != nil {
		t.Fatal(err)
	}
	hooks := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "testdata/hookgrid/hooks.sh", j.hook, root, c.vars["V"], "/"+c.vars["F"])
	if out, err := hooks.CombinedOutput(); err != nil {
		t.Fatalf("hooks: %v: %s", err, out)
	}
	program := exec.CommandContext(t.Context(), "/opt/app/probe")
	program.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	program.Dir, program.Env = path.Join("/", c.vars["WORKDIR"]), []string{"LD_LIBRARY_PATH=" + c.vars["ENV"], "LD_ORIGIN_PATH=/opt/app"} // for $ORIGIN, where there is no /proc
	out, err := program.Output()
	var failed *exec.ExitError
	switch got := strings.TrimSpace(string(out)); {
	case errors.As(err, &failed) && strings.Contains(string(failed.Stderr), "libcuda.so.1"):
		return "none"
	case err != nil:
		t.Fatalf("the program: %v: %s", err, exitText(err))
	case got == "/"+realIn(t, root, at):
		return "host"
	default:
		return strings.TrimPrefix(got, "/")
	}
	return ""
}

func exitText(err error) string {
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return string(failed.Stderr)
	}
	return ""
}

// realIn follows the links of a path inside a root, as a process there does.
func realIn(t *testing.T, root, p string) string {
	t.Helper()
	done, rest := "/", strings.Split(p, "/")
	for hops := 0; len(rest) > 0; {
		next := path.Join(done, rest[0])
		target, err := os.Readlink(filepath.Join(root, next))
		switch rest = rest[1:]; {
		case err != nil:
			done = next
		case hops == 40:
			t.Fatalf("%s: too many links", p)
		default:
			if hops++; path.IsAbs(target) {
				done = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
		}
	}
	return done[1:]
}
