// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/attest"
)

// published is an image in a registry.
type published struct{ repo, cell, digest string }

func (p published) ref() string { return p.repo + ":" + p.cell }

// host is the registry's.
func (p published) host() string { return p.repo[:strings.Index(p.repo, "/")] }

func testCrane(t *testing.T, p published) {
	if r := run(t, "crane", "digest", p.ref()); strings.TrimSpace(r.stdout) != p.digest {
		t.Errorf("crane digest: %s%s, want %s", r.stdout, r.stderr, p.digest)
	}
	files := filepath.Join(t.TempDir(), "files.tar") // crane validate takes each layer for gzip
	if r := run(t, "crane", "export", p.ref(), files); r.code != 0 {
		t.Fatalf("crane export: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	mustContain(t, "crane export", run(t, "tar", "-tf", files).stdout, "deviceQuery")
}

func testRegctl(t *testing.T, p published) {
	regctl := func(args ...string) result {
		return run(t, "regctl", append([]string{"--host", "reg=" + p.host() + ",tls=disabled"}, args...)...)
	}
	copied := "ocidir://" + filepath.Join(t.TempDir(), "copy") + ":copy"
	if r := regctl("image", "copy", p.ref(), copied); r.code != 0 {
		t.Fatalf("regctl image copy: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, ref := range []string{p.ref(), copied} {
		if r := regctl("image", "digest", ref); strings.TrimSpace(r.stdout) != p.digest {
			t.Errorf("regctl image digest %s: %s%s, want %s", ref, r.stdout, r.stderr, p.digest)
		}
	}
}

// testEvidence reads what push has attached to an image, and lists it with regctl.
func testEvidence(t *testing.T, f fixture, p published) {
	r := run(t, f.program, "verify", "--attestations", "--json", p.ref())
	var doc struct{ Reports []attest.Report }
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || r.code != 0 || doc.Reports[0].State != attest.Valid {
		t.Fatalf("verify --attestations: exit %d, %v\n%s%s", r.code, err, r.stdout, r.stderr)
	}
	listed := run(t, "regctl", "--host", "reg="+p.host()+",tls=disabled", "artifact", "list", "--format", "{{range .Descriptors}}{{println .Digest .ArtifactType}}{{end}}", p.ref())
	for _, d := range doc.Reports[0].Images[0].Documents {
		mustContain(t, "regctl artifact list", listed.stdout, d.Digest+" application/")
	}
}

// testContainerd pulls and runs an image with a containerd of the test's own, which keeps its
// sockets in a /run of its own.
func testContainerd(t *testing.T, p published) {
	dir, err := os.MkdirTemp("", "ctr-") //nolint:usetesting // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/config.toml", `version = 2
root = "`+dir+`/root"
state = "`+dir+`/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "`+dir+`/sock"
`)
	ctr := func(args ...string) result {
		return run(t, "ctr", append([]string{"--address", dir + "/sock"}, args...)...)
	}
	startDaemon(t, dir, nil, func() bool { return ctr("version").code == 0 },
		"sh", "-c", `mount -t tmpfs tmpfs /run && exec containerd --config "$0"`, dir+"/config.toml")
	if r := ctr("images", "pull", "--plain-http", p.ref()); r.code != 0 {
		t.Fatalf("ctr images pull: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	mustContain(t, "ctr images ls", ctr("images", "ls").stdout, p.ref(), p.digest)
	if r := ctr("run", "--rm", "--fifo-dir", dir, p.ref(), "e2e"); r.code != 2 {
		t.Errorf("deviceQuery without a GPU: exit %d, want 2\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// testNewDocker pulls and runs a zstd image with docker 29 (`make bin/docker29/dockerd`).
func testNewDocker(t *testing.T, p published) {
	docker := startDocker(t, docker29(t)...)
	mustContain(t, "docker version", docker("version", "--format", "{{.Server.Version}}").stdout, "v2.") // of its module: 29 is v2.0.0
	if r := docker("pull", p.ref()); r.code != 0 {
		t.Fatalf("docker pull: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	mustContain(t, "docker image inspect", docker("image", "inspect", "--format", "{{.Id}}", p.ref()).stdout, p.digest)
	if r := docker("run", "--rm", "--network", "none", p.ref()); r.code != 2 {
		t.Errorf("deviceQuery without a GPU: exit %d, want 2\n%s%s", r.code, r.stdout, r.stderr)
	}
}
