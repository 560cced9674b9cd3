// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/contain"
	"github.com/cudabuild/cudabuild/internal/require"
)

// killsDir makes a copy of the test binary kill runs in that directory, in namespaces of its
// own, where nothing else runs, mounts or writes to /run.
const killsDir = "CUDABUILD_TEST_KILLS"

// sampled is how many points are tried where CUDABUILD_REQUIRE does not name kills.
const sampled = 60

// calls are those that create, rename, mount or link.
const calls = "mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mount,umount2,mknod,mknodat,openat,pivot_root,move_mount,unlink,unlinkat"

// TestKills kills a program of a run at each distinct (program, call, path) that one trace
// of a tiny run has: the next run is fine, nothing is left outside the state directory and
// the image folder, and prune --all leaves an empty one.
func TestKills(t *testing.T) {
	if dir := os.Getenv(killsDir); dir != "" {
		killAll(t, dir)
		return
	}
	needEngine(t)
	if _, err := exec.LookPath("strace"); err != nil {
		require.Missing(t, "strace", err)
	}
	if _, err := os.Stat("../bin/cudabuild"); err != nil {
		require.Missing(t, "strace", err)
	}
	cmd := contain.Command(os.Args[0], "-test.run=^TestKills$", "-test.v", "-test.timeout=60m")
	cmd.Env = append(os.Environ(), killsDir+"="+t.TempDir())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := contain.Run(t.Context(), cmd, nil); err != nil {
		t.Error(err)
	}
}

func killAll(t *testing.T, dir string) {
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", tmp)
	k := &kills{dir: dir, seen: map[string]bool{}}
	k.furnish(t)
	k.traced(t, "")
	points := slices.Sorted(maps.Keys(k.seen))
	if len(points) < sampled {
		t.Fatalf("%d points, want at least %d: %q", len(points), sampled, points)
	}
	k.settle(t, "no kill")
	t.Logf("%d distinct points", len(points))
	missed := 0
	for i, point := range points {
		if !require.Whole("kills") && i*sampled/len(points) == (i-1)*sampled/len(points) && i > 0 {
			continue
		}
		k.furnish(t)
		before := k.outside(t)
		if !k.traced(t, point) {
			missed++
		}
		k.settle(t, point)
		if more := k.more(t, before); len(more) > 0 {
			t.Errorf("%s: left outside: %q", point, more)
		}
	}
	if missed > sampled/5 {
		t.Errorf("%d points did not come again", missed)
	}
}

// kills is a place for one run after the other.
type kills struct {
	dir  string
	seen map[string]bool // points of the run that was traced last
}

func (k *kills) state() string { return filepath.Join(k.dir, "state") }
func (k *kills) out() string   { return filepath.Join(k.dir, "out") }

// furnish makes the place new.
func (k *kills) furnish(t *testing.T) {
	t.Helper()
	for _, path := range []string{k.state(), k.out()} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	furnish(t, k.state(), k.out())
	text := strings.Replace(tinyMatrix, `["12.1", "12.2", "12.3", "12.5", "12.6"]`, `["12.1"], flavors: [base], samples: []`, 1)
	if err := os.WriteFile(filepath.Join(k.dir, "tiny.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (k *kills) matrix() []string {
	return []string{
		"../bin/cudabuild", "matrix", "--unpinned", "-q", "--recipes", "testdata/recipes",
		"-f", filepath.Join(k.dir, "tiny.yaml"), "--state-dir", k.state(), "--out", k.out(),
	}
}

// traced runs the matrix under strace and kills the program that comes to that point. It
// reports whether one did.
func (k *kills) traced(t *testing.T, point string) (hit bool) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.CommandContext(t.Context(), "strace", append([]string{"-f", "-Y", "-y", "--seccomp-bpf", "-s", "300", "-o", "/dev/fd/3", "-e", "trace=" + calls}, k.matrix()...)...)
	cmd.ExtraFiles = []*os.File{w}
	if err := errors.Join(cmd.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		thread, at := k.point(lines.Text())
		if at == "" {
			continue
		}
		k.seen[at] = true
		if at == point && !hit {
			hit = true
			_ = syscall.Kill(group(thread), syscall.SIGKILL)
		}
	}
	if err := cmd.Wait(); err != nil && point == "" {
		t.Fatalf("a run that nothing disturbs: %v", err)
	}
	return hit
}

var (
	traceLine = regexp.MustCompile(`^([0-9]+)<([^>]*)> ([a-z0-9_]+)\((.*)`)
	quoted    = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
	folderFD  = regexp.MustCompile(`^[0-9]+<([^>]*)>`)
	numbers   = regexp.MustCompile(`[0-9a-f]{12,}|\b[a-z0-9]{25}\b|[0-9]+`)
)

// point is what a line of the trace is about: program, call, and its paths without what
// differs from run to run. It is "" for what makes nothing.
func (k *kills) point(line string) (thread int, point string) {
	parts := traceLine.FindStringSubmatch(line)
	if parts == nil || parts[3] == "openat" && !strings.Contains(parts[4], "O_CREAT") {
		return 0, ""
	}
	thread, _ = strconv.Atoi(parts[1])
	var paths []string
	for _, found := range quoted.FindAllStringSubmatch(parts[4], 2) {
		path := found[1]
		if fd := folderFD.FindStringSubmatch(parts[4]); fd != nil && !filepath.IsAbs(path) {
			path = filepath.Join(fd[1], path)
		}
		path = strings.ReplaceAll(path, k.dir, "")
		paths = append(paths, numbers.ReplaceAllString(path, "N"))
	}
	program, _, _ := strings.Cut(parts[2], ":")
	return thread, program + " " + parts[3] + " " + strings.Join(paths, " ")
}

// group is the process of a thread.
func group(thread int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	for line := range strings.Lines(string(status)) {
		if id, ok := strings.CutPrefix(line, "Tgid:"); ok {
			process, _ := strconv.Atoi(strings.TrimSpace(id))
			return process
		}
	}
	return thread
}

// settle does what a user does next: run it again, and clear away.
func (k *kills) settle(t *testing.T, point string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), k.matrix()[0], k.matrix()[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s: the next run: %v: %s", point, err, out)
	}
	prune := exec.CommandContext(t.Context(), "../bin/cudabuild", "prune", "--all", "--state-dir", k.state(), "--out", k.out())
	if out, err := prune.CombinedOutput(); err != nil {
		t.Errorf("%s: prune: %v: %s", point, err, out)
	}
	left, err := os.ReadDir(k.state())
	if len(left) > 0 || err != nil {
		t.Errorf("%s: left in the state directory: %v, %v", point, left, err)
	}
	for _, dir := range []string{k.out(), filepath.Join(k.out(), "images")} {
		names, _ := os.ReadDir(dir)
		for _, e := range names {
			if !slices.Contains([]string{"images", "run.json", ".builds.json", ".lock", ".stamps.json", "blobs", "index.json", "oci-layout"}, e.Name()) {
				t.Errorf("%s: left in %s: %s", point, dir, e.Name())
			}
		}
	}
}

// outside is all that a run could leave outside: processes, mounts, files of the system's
// folders, cgroups. Of cgroups, which the whole machine shares, only those of the run's own name
// count.
func (k *kills) outside(t *testing.T) map[string]bool {
	t.Helper()
	groups := regexp.MustCompile(fmt.Sprintf("^/sys/fs/cgroup/(.*/)?cudabuild-%.6x(/|$)", sha256.Sum256([]byte(k.state())))) // as engine names it
	all := map[string]bool{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		if data, err := os.ReadFile(stat); err == nil && !strings.Contains(string(data), ") Z ") {
			all[stat+" "+strings.Fields(string(data))[1]] = true
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		all["mount "+strings.Fields(line)[4]] = true
	}
	for _, root := range []string{"/run", "/var/run", "/var/lib", os.TempDir(), "/sys/class/net", "/sys/fs/cgroup"} {
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && (root != "/sys/fs/cgroup" || groups.MatchString(path)) {
				all[path] = true
			}
			if entry != nil && entry.IsDir() && root == "/var/lib" && path != root {
				return fs.SkipDir
			}
			return nil
		})
	}
	return all
}

// more is what is outside and was not before, once the kernel has had time to clear up.
func (k *kills) more(t *testing.T, before map[string]bool) (more []string) {
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(50 * time.Millisecond) {
		more = nil
		for name := range k.outside(t) {
			if !before[name] {
				more = append(more, name)
			}
		}
		if len(more) == 0 {
			return nil
		}
	}
	return more
}
