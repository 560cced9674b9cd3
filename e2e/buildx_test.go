// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/cudabuild/cudabuild/engine"
)

// buildx is the pinned buildx on a pinned BuildKit, both of their own: nothing that
// cudabuild has built is in its cache.
type buildx struct{ program, dir string }

func newBuildx(t *testing.T) buildx {
	t.Helper()
	bin, err := filepath.Abs(filepath.Join("..", "bin"))
	if err != nil {
		t.Fatal(err)
	}
	b := buildx{program: filepath.Join(bin, "buildx"), dir: t.TempDir()}
	state := filepath.Join(b.dir, "state")
	lock, err := engine.Acquire(t.Context(), state, nil)
	if err != nil {
		t.Fatal(err)
	}
	daemon, err := engine.Open(t.Context(), engine.Options{StateDir: state, ToolDir: bin, Lock: lock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := daemon.Close(); err != nil {
			t.Error(err)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	})
	b.run(t, b.dir, "", "create", "--name", "e2e", "--driver", "remote", daemon.Address())
	return b
}

// run runs buildx in a folder and ends the test if it fails.
func (b buildx) run(t *testing.T, dir, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.program, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "BUILDX_CONFIG="+filepath.Join(b.dir, "config"), "BUILDX_BUILDER=e2e")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out.Bytes())
	}
}

// listPackages is a build that asks an image what its package managers have, and lists what
// flavors place.
const listPackages = `FROM image AS asked
RUN for ask in "dpkg-query --show" "rpm -qa"; do if command -v ${ask%% *} >/dev/null; then $ask; fi; done | sort >/packages
RUN for file in /etc/motd /etc/acme/* /usr/local/bin/*; do [ ! -f "$file" ] || echo "$(stat -c '%a %n' "$file") $(sha256sum <"$file")"; done >>/packages
FROM scratch
COPY --from=asked /packages /
`

// packages returns the names and versions of what is installed in an image, and what is in
// the folders that flavors of the user's place files in.
func (b buildx) packages(t *testing.T, context string) string {
	t.Helper()
	dir := t.TempDir()
	b.run(t, dir, listPackages, "build", "--build-context", "image="+context, "--output", "type=local,dest="+dir, "-")
	list, err := os.ReadFile(filepath.Join(dir, "packages"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(list), "\n") < 20 {
		t.Errorf("%s has few packages:\n%s", context, list)
	}
	return string(list)
}

// readImage reads an image of an OCI layout: by its digest, or the only one.
func readImage(t *testing.T, dir, digest string) v1.Image {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if digest == "" {
		manifest, err := index.IndexManifest()
		if err != nil || len(manifest.Manifests) == 0 {
			t.Fatalf("%s: %+v, %v, want an image", dir, manifest, err)
		}
		digest = manifest.Manifests[0].Digest.String()
		for _, m := range manifest.Manifests { // one for each tag
			if m.Digest.String() != digest {
				t.Fatalf("%s: %+v, want one image", dir, manifest)
			}
		}
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(hash)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
