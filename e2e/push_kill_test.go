// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/registrytest"
)

// killPoint is a request at which a push is killed: the nth of its kind.
type killPoint struct {
	name   string
	nth    int32
	kind   func(r *http.Request) bool
	inside bool // when half of its body has come; else before anything of it is passed on
	moving bool // tags may have moved by then
}

var killPoints = []killPoint{
	{name: "in a large blob", nth: 1, kind: func(r *http.Request) bool { return r.Method == http.MethodPatch && r.ContentLength > 100<<20 }, inside: true},
	{name: "between blobs", nth: 9, kind: func(r *http.Request) bool { return r.Method == http.MethodPost }},
	{name: "before the read back", nth: 1, kind: func(r *http.Request) bool { return r.Method == http.MethodHead && isStaging(r) }},
	{name: "while tags move", nth: 8, kind: func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && !isStaging(r)
	}, moving: true},
	{name: "behind it", nth: 1, kind: func(r *http.Request) bool { return r.Method == http.MethodDelete && isStaging(r) }, moving: true},
}

func isStaging(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/staging-") }

// hook kills the process at the point.
func (k killPoint) hook(running <-chan *os.Process) registrytest.Hook {
	var n atomic.Int32
	kill := func() { _ = (<-running).Signal(syscall.SIGKILL) }
	return func(_ int, r *http.Request) registrytest.Fault {
		switch {
		case !k.kind(r) || n.Add(1) != k.nth:
			return registrytest.Fault{}
		case k.inside:
			r.Body = &killingBody{r.Body, r.ContentLength / 2, kill}
			return registrytest.Fault{}
		}
		kill()
		return registrytest.Fault{Reset: true}
	}
}

// killingBody kills who sends it when that many more bytes have come.
type killingBody struct {
	io.ReadCloser

	left int64
	kill func()
}

func (b *killingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if before := b.left; before > 0 {
		if b.left -= int64(n); b.left <= 0 {
			b.kill()
		}
	}
	return n, err
}

// testKilledPush kills a push of real images at five points and lets it go on: it ends as one
// that nobody disturbed, and sends little twice. Evidence names its repository, and so is another in each: package
// publish kills pushes with it.
func testKilledPush(t *testing.T, f fixture, registry *registrytest.Registry) {
	proxy := registrytest.Proxy(t, registry.Host)
	if r := f.elsewhere(t).push(t, "12.4-*", proxy.Host+"/undisturbed", "--evidence=false"); r.code != 0 {
		t.Fatalf("undisturbed: exit %d\n%s", r.code, r.stderr)
	}
	sent, _ := proxy.Blobs()
	want := registry.Stands(t, "undisturbed")
	for _, point := range killPoints {
		t.Run(point.name, func(t *testing.T) {
			f, proxy, repo := f.elsewhere(t), registrytest.Proxy(t, registry.Host), "killed-"+strings.ReplaceAll(point.name, " ", "-")
			running := make(chan *os.Process, 1)
			proxy.Arm(point.hook(running), nil)
			cmd := exec.CommandContext(t.Context(), f.program, "push", proxy.Host+"/"+repo, "--quiet", "--evidence=false", "-f", f.matrix, "--out", f.out, "--only", "12.4-*")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			running <- cmd.Process
			_ = cmd.Wait()
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
				t.Fatalf("it was not killed: %v", cmd.ProcessState)
			}
			first, unfinished := proxy.Blobs()
			stands := registry.Stands(t, repo)
			for _, line := range stands {
				tag, is := strings.CutPrefix(line, "_manifests/tags/")
				may := strings.HasPrefix(tag, "staging-") || point.moving && slices.Contains(want, line)
				if is && !may {
					t.Errorf("when it was killed there was tag %s", tag)
				}
			}
			proxy.Arm(nil, nil)
			proxy.Forget()
			if r := run(t, f.program, "push", "--resume", "--quiet", "-f", f.matrix, "--out", f.out); r.code != 0 {
				t.Fatalf("push --resume: exit %d\n%s", r.code, r.stderr)
			}
			if diff := cmp.Diff(want, registry.Stands(t, repo)); diff != "" {
				t.Errorf("the registry (-undisturbed +got):\n%s", diff)
			}
			second, _ := proxy.Blobs()
			t.Logf("%d things stood when it was killed; %.1f MB sent, %.1f MB of it unfinished, then %.1f MB; undisturbed %.1f MB",
				len(stands), float64(first)/1e6, float64(unfinished)/1e6, float64(second)/1e6, float64(sent)/1e6)
			if float64(first+second) > 1.05*float64(sent)+float64(unfinished) {
				t.Errorf("%d bytes were sent, want %d and what was under way, %d", first+second, sent, unfinished)
			}
		})
	}
}

// elsewhere is the same images in a folder that has no journal.
func (f fixture) elsewhere(t *testing.T) fixture {
	t.Helper()
	from := f.out
	f.out = t.TempDir()
	if err := os.Symlink(filepath.Join(from, "images"), filepath.Join(f.out, "images")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(f.out, "run.json"), read(t, filepath.Join(from, "run.json")))
	return f
}
