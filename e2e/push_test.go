// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/publish"
)

// testPush publishes the images and looks at them with other people's tools.
func testPush(t *testing.T, f fixture) {
	if doc, r := f.build(t, "--only", "12.4-*"); r.code != 0 || doc.Totals.Passed != len(cells) { // what failed before it stands in the record
		t.Fatalf("matrix: exit %d\n%s", r.code, r.stderr)
	}
	registry := registrytest.Start(t, nil)
	to := registry.Host + "/team/cuda"
	if r := f.push(t, "12.4-*", to); r.code != 0 {
		t.Fatalf("push: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	r := f.push(t, "12.4-*", to, "--json")
	var again struct{ Plan publish.Plan }
	if err := json.Unmarshal([]byte(r.stdout), &again); err != nil || r.code != 0 {
		t.Fatalf("second push: exit %d, %v\n%s", r.code, err, r.stderr)
	}
	if totals := again.Plan.Totals; totals.UploadBytes > 0 || totals.New+totals.Moved > 0 || totals.Same < len(cells) {
		t.Errorf("second push: %+v, want that nothing changed", totals)
	}
	for _, c := range again.Plan.Cells {
		r := run(t, "skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://"+to+":"+c.ID)
		if strings.TrimSpace(r.stdout) != c.Digest {
			t.Errorf("skopeo inspect %s: %s%s, want %s", c.ID, r.stdout, r.stderr, c.Digest)
		}
	}
	layout := filepath.Join(t.TempDir(), "copy")
	if r := run(t, "skopeo", "copy", "--all", "--src-tls-verify=false", "docker://"+to+":"+cells[3], "oci:"+layout+":copy"); r.code != 0 {
		t.Fatalf("skopeo copy: exit %d\n%s", r.code, r.stderr)
	}
	if r := run(t, "skopeo", "inspect", "--format", "{{.Digest}}", "oci:"+layout+":copy"); !strings.Contains(r.stdout, again.Plan.Cells[3].Digest) {
		t.Errorf("skopeo copy --all made %s, want %s", r.stdout, again.Plan.Cells[3].Digest)
	}
	if r := run(t, f.program, "verify", to+":"+cells[3]); r.code != 0 {
		t.Errorf("verify %s: exit %d\n%s%s", cells[3], r.code, r.stdout, r.stderr)
	}
	query := published{to, cells[3], again.Plan.Cells[3].Digest}
	t.Run("podman", func(t *testing.T) { testPodman(t, to) })
	t.Run("docker 20.10", func(t *testing.T) { testOldDocker(t, f, registry.Host+"/gzip/cuda") })
	t.Run("docker 29", func(t *testing.T) { testNewDocker(t, query) })
	t.Run("ctr", func(t *testing.T) { testContainerd(t, query) })
	t.Run("crane", func(t *testing.T) { testCrane(t, query) })
	t.Run("regctl", func(t *testing.T) { testRegctl(t, query) })
	t.Run("cosign", func(t *testing.T) { testSignedPush(t, f, registry.Host+"/signed/cuda") })
	t.Run("evidence", func(t *testing.T) { testEvidence(t, f, query) })
	t.Run("killed", func(t *testing.T) { testKilledPush(t, f, registry) })
}

func (f fixture) push(t *testing.T, only, to string, args ...string) result {
	t.Helper()
	return run(t, f.program, append([]string{"push", to, "--quiet", "-f", f.matrix, "--out", f.out, "--only", only}, args...)...)
}

// testPodman pulls a zstd image and runs it: without a GPU, deviceQuery says so.
func testPodman(t *testing.T, to string) {
	dir, err := os.MkdirTemp("", "podman-") //nolint:usetesting // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 40 { // what podman leaves to clean up after a container may mount the store once more
			_ = unix.Unmount(dir+"/root/overlay", unix.MNT_DETACH) // it is a mount on itself
			if err = os.RemoveAll(dir); err == nil {
				return
			}
			time.Sleep(250 * time.Millisecond)
		}
		t.Error(err)
	})
	podman := func(args ...string) result {
		return run(t, "podman", append([]string{"--root", dir + "/root", "--runroot", dir + "/run", "--runtime", "runc", "--cgroup-manager", "cgroupfs"}, args...)...)
	}
	if r := podman("pull", "--tls-verify=false", to+":"+cells[3]); r.code != 0 {
		t.Fatalf("podman pull: exit %d\n%s", r.code, r.stderr)
	}
	r := podman("run", "--rm", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", to+":"+cells[3])
	if r.code != 2 {
		t.Errorf("deviceQuery without a GPU: exit %d, want 2\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// testOldDocker: docker 20.10 knows no zstd; images that are built for it are gzip.
func testOldDocker(t *testing.T, f fixture, to string) {
	old := f
	old.out = filepath.Join(t.TempDir(), "out")
	doc, r := old.build(t, "--only", cells[0], "--only", cells[3], "--compression", "gzip")
	if r.code != 0 || doc.Totals.Passed != 2 {
		t.Fatalf("matrix --compression gzip: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, cell := range []string{cells[0], cells[3]} {
		if r := old.push(t, cell, to); r.code != 0 || strings.Contains(r.stdout, "zstd") {
			t.Fatalf("push: exit %d\n%s%s", r.code, r.stdout, r.stderr)
		}
	}
	docker := startDocker(t)
	if r := docker("pull", to+":"+cells[3]); r.code != 0 {
		t.Fatalf("docker pull: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if r := docker("run", "--rm", "--network", "none", to+":"+cells[3]); r.code != 2 {
		t.Errorf("deviceQuery without a GPU: exit %d, want 2\n%s%s", r.code, r.stdout, r.stderr)
	}
}
