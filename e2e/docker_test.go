// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/contain"
)

// testDocker hands images to a docker daemon of the test's own and uses them there
// as a user would.
func testDocker(t *testing.T, f fixture) {
	docker := startDocker(t)
	for _, cell := range []string{cells[2], cells[3]} {
		archive := filepath.Join(t.TempDir(), "image.tar")
		if r := run(t, f.program, "export", "--out", f.out, cell, "docker-archive:"+archive); r.code != 0 {
			t.Fatalf("export %s: exit %d\n%s", cell, r.code, r.stderr)
		}
		if r := docker("load", "-i", archive); r.code != 0 {
			t.Fatalf("docker load %s: exit %d\n%s", cell, r.code, r.stderr)
		}
	}
	devel, query := "cuda:"+cells[2], "cuda:"+cells[3]

	r := docker("run", "--rm", devel, "nvcc", "--version")
	mustContain(t, "nvcc --version", r.stdout, "release 12.4")

	r = docker("run", "--rm", devel, "sh", "-euc", `cd /tmp
		echo 'int main() { return cudaRuntimeGetVersion(0) == cudaSuccess; }' >x.cu
		nvcc x.cu && ls a.out`)
	mustContain(t, "nvcc x.cu", r.stdout, "a.out")

	r = docker("run", "--rm", devel, "sh", "-euc", `
		ls /usr/share/doc/libcublas12/copyright
		echo lists $(find /var/lib/apt/lists /var/cache/apt -type f | grep -vc lock)
		echo logs $(find /var/log -type f -size +0 | wc -l)
		echo manuals $(find /usr/share/man -type f 2>/dev/null | wc -l)
		echo docs $(find /usr/share/doc -type f ! -name copyright | wc -l)`)
	mustContain(t, "what is kept", r.stdout, "copyright", "lists 0", "logs 0", "manuals 0", "docs 0")

	r = docker("run", "--rm", "--network", "host", devel, "sh", "-c",
		"apt-get update -qq && apt-get install --yes nvidia-smi")
	if r.code == 0 {
		t.Error("apt-get install nvidia-smi was not refused")
	}
	mustContain(t, "apt's refusal", r.stdout+r.stderr, "cudabuild-guard-driver-comes-from-host", "nvidia-smi")

	r = docker("run", "--rm", query)
	if lines := strings.Count(strings.TrimSpace(r.stderr), "\n") + 1; r.code != 2 || lines != 1 {
		t.Errorf("deviceQuery without a GPU: exit %d, want 2 and one line on stderr\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// startDocker starts a dockerd that listens on a socket of its own, with more variables, and
// returns a client for it. The test ends it.
func startDocker(t *testing.T, env ...string) func(args ...string) result {
	t.Helper()
	address := startDockerd(t, env)
	return func(args ...string) result {
		t.Helper()
		return run(t, "docker", append([]string{"--host", address}, args...)...)
	}
}

// startDockerd starts one with more arguments, and returns its address.
func startDockerd(t *testing.T, env []string, more ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "docker-") //nolint:usetesting // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	address := "unix://" + dir + "/docker.sock"
	startDaemon(t, dir, env, func() bool { return run(t, "docker", "--host", address, "version").code == 0 },
		append([]string{
			"dockerd", "--host", address, "--data-root", dir + "/data", "--exec-root", dir + "/exec",
			"--pidfile", dir + "/pid", "--bridge", "none", "--iptables=false", "--ip6tables=false",
		}, more...)...)
	return address
}

// startDaemon starts a contained program that keeps everything in dir, and waits until it
// answers. The test ends it and removes dir.
func startDaemon(t *testing.T, dir string, env []string, answers func() bool, command ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	daemon := contain.Command(command[0], command[1:]...)
	daemon.Env = append(os.Environ(), env...)
	daemon.Stdout, daemon.Stderr = log, log
	started, ended := make(chan error, 1), make(chan error, 1)
	ctx := context.WithoutCancel(t.Context()) // it is ended below, politely
	go func() { ended <- contain.Run(ctx, daemon, func(err error) { started <- err }) }()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		<-ended
		log.Close()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(200 * time.Millisecond) {
		if answers() {
			return
		}
	}
	text, _ := os.ReadFile(log.Name())
	t.Fatalf("%s does not answer:\n%s", command[0], text)
}
