// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/internal/require"
)

// TestRootless: somebody who is not root has nothing but the address of a BuildKit, which
// runs on this machine and pulls from a stand-in of docker.io. There roots are made in it,
// the same to the byte as root makes with the same tools.
func TestRootless(t *testing.T) {
	t.Parallel()
	hub := registrytest.Start(t, nil)
	address, daemon := startBuildkit(t, hub.Host)
	u := newUser(t, address)
	only := []string{"--only", "11.8-base-debian12"}

	_, r := u.build(t, only...)
	if r.code != 3 {
		t.Errorf("no image to make a root in: exit %d, want 3", r.code)
	}
	mustContain(t, "no image to make a root in", r.stderr, "the BuildKit at "+address+" cannot pull docker.io/library/debian:bookworm-slim", "buildkitd.toml", "--recipes")

	own := rootOwn(t)
	own.standIn(t, hub.Host+"/library/debian:bookworm-slim")
	_, r = u.build(t, append(only, "--debian-mirror", "http://127.0.0.1:9")...)
	if r.code != 3 {
		t.Errorf("a mirror that is not there: exit %d, want 3", r.code)
	}
	mustContain(t, "a mirror that is not there", r.stderr, "127.0.0.1:9")

	m := startMirror(t, own.Dates)
	login := withLogin(t, m)
	mirrored := append(only, "--debian-mirror", login)
	u.interrupt(t, mirrored...)
	doc, r := u.build(t, mirrored...)
	if r.code != 0 || doc.Totals.Passed != 1 {
		t.Fatalf("matrix: exit %d\n%s", r.code, r.stderr)
	}
	mustContain(t, "progress", r.stderr, "[debian12] bootstrap bookworm for linux/amd64 in BuildKit")
	if m.packages.Load() == 0 {
		t.Error("no package came from the mirror")
	}
	for _, blobs := range []string{u.state + "/bases/blobs/sha256", u.out + "/images/blobs/sha256"} {
		holdsNot(t, blobs, login[strings.LastIndex(login, "@")+1:])
		holdsNot(t, blobs, mirrorWord)
	}
	r = run(t, "grep", "-rl", mirrorWord, daemon)
	gone := regexp.MustCompile(`(?m)^grep: .*: No such file or directory\n`) // BuildKit clears up meanwhile
	if r.stdout+gone.ReplaceAllString(r.stderr, "") != "" {
		t.Errorf("BuildKit has kept the login of the mirror: grep ends with %d\n%s%s", r.code, r.stdout, r.stderr)
	}

	family := []string{"--only", "11.8-*"}
	doc, r = u.build(t, family...)
	if r.code != 0 || doc.Totals.Passed != 5 || strings.Contains(r.stderr, "in BuildKit") {
		t.Fatalf("the family on that root: exit %d\n%s", r.code, r.stderr)
	}
	to := registrytest.Start(t, nil).Host + "/team/cuda"
	if r := u.run(t, append([]string{"push", to}, family...)...); r.code != 0 {
		t.Fatalf("push: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, c := range doc.Cells {
		if r := u.run(t, "verify", to+":"+c.ID); r.code != 0 {
			t.Errorf("verify %s: exit %d\n%s%s", c.ID, r.code, r.stdout, r.stderr)
		}
	}

	theirs := u.base(t)
	if theirs.Tools["mmdebstrap"] != own.Tools["mmdebstrap"] { // this machine is no Debian 12
		require.Missing(t, "debian12", fmt.Errorf("here are %v, there %v", own.Tools, theirs.Tools))
	}
	if !maps.EqualFunc(own.Dates, theirs.Dates, time.Time.Equal) {
		t.Logf("Debian's lists have moved meanwhile; own root is made again")
		own = rootOwn(t)
	}
	if theirs.Root != own.Root || theirs.Lists != own.Lists {
		t.Errorf("in BuildKit root %s and lists %s, here %s and %s", theirs.Root, theirs.Lists, own.Root, own.Lists)
	}
}
