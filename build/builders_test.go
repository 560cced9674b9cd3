// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/internal/registrytest"
	"github.com/cudabuild/cudabuild/record"
)

// twoFamilies are the cells of the tests with several builders.
var twoFamilies = []string{"12.1-base-*", "12.1-runtime-*", "12.6-base-*"}

// pair is a house with two BuildKits, and where each keeps its state.
func pair(t testing.TB) (h *house, states map[string]string) {
	t.Helper()
	h = newHouse(t)
	h.toolDir = t.TempDir()
	states = map[string]string{}
	for range 2 {
		address, state := given(t)
		h.addresses = append(h.addresses, address)
		states[address] = state
	}
	return h, states
}

// alone is what one BuildKit makes of the same.
func alone(t testing.TB, h *house, only ...string) map[string]string {
	t.Helper()
	one := furnish(t, t.TempDir(), t.TempDir())
	one.catalog, one.matrix = h.catalog, h.matrix
	return digests(one.done(t, only...))
}

// on are the builders of each cell that has some.
func on(r *record.Run) map[string]string {
	got := map[string]string{}
	for _, c := range r.Cells {
		if len(c.Builders) > 0 {
			got[c.ID] = strings.Join(c.Builders, " ")
		}
	}
	return got
}

// became is the state of each builder.
func became(r *record.Run) map[string]string {
	got := map[string]string{}
	for _, b := range r.Builders {
		got[b.Address] = b.State
	}
	return got
}

// awaited overlays release 12.1 with a runtime whose installation asks the test to go on.
// The first answer is what meet does, any other is yes.
func awaited(t testing.TB, meet func(times int) (goOn bool)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for times := 1; ; times++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if meet(times) {
				_, _ = io.WriteString(conn, "go")
				_ = conn.Close()
			} else {
				held = append(held, conn)
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, conn := range held {
			_ = conn.Close()
		}
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return overlay(t, "12.1", "cublas", "awaiting-at-"+port)
}

// TestBuilders: each of two families has a builder of its own, the same one in every run, and
// the images are those that one BuildKit makes.
func TestBuilders(t *testing.T) {
	t.Parallel()
	h, _ := pair(t)
	first := h.done(t, twoFamilies...)
	if diff := cmp.Diff(alone(t, h, twoFamilies...), digests(first)); diff != "" {
		t.Errorf("digests (-one builder +two):\n%s", diff)
	}
	used := on(first)
	if used["12.1-base-tiny"] != used["12.1-runtime-tiny"] || used["12.1-base-tiny"] == used["12.6-base-tiny"] {
		t.Errorf("cells are built by %v, want each family by one builder", used)
	}
	for _, b := range first.Builders {
		if b.State != record.BuilderUsed || b.Version == "" || b.Reason != "" {
			t.Errorf("%+v, want it used, with its version", b)
		}
	}
	slices.Reverse(h.addresses)
	h.out = t.TempDir()
	if diff := cmp.Diff(used, on(h.done(t, twoFamilies...))); diff != "" {
		t.Errorf("builders (-first run +second):\n%s", diff)
	}
	unused := h.done(t, twoFamilies...)
	wantRebuilt(t, unused)
	for address, state := range became(unused) {
		if state != record.BuilderUnused {
			t.Errorf("nothing was to be built, and %s is %s", address, state)
		}
	}
}

// TestBuilderLost: one that is killed or falls silent in the middle of a step leaves its family
// to the other, which is said once, and the images are the same. With a cache there is a session that
// outlives its solves: it holds up no run.
func TestBuilderLost(t *testing.T) {
	t.Parallel()
	for title, test := range map[string]struct {
		signal syscall.Signal
		cached bool
	}{"killed": {syscall.SIGKILL, false}, "frozen": {syscall.SIGSTOP, false}, "frozen with a cache": {syscall.SIGSTOP, true}} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			h, states := pair(t)
			if test.cached {
				h.cache.From = []name.Repository{repository(t, registrytest.Start(t, nil).Host)}
			}
			h.patience = 10 * time.Second
			first := on(h.done(t, twoFamilies...))["12.1-runtime-tiny"]
			hit := func(times int) bool {
				if times == 1 {
					for _, pid := range daemons(t, states[first]) {
						_ = syscall.Kill(pid, test.signal)
					}
				}
				return times > 1
			}
			h.catalog = load(t, awaited(t, hit))
			log := &watcher{}
			h.log = slog.New(slog.NewTextHandler(log, nil))
			begun := time.Now()
			r := h.done(t, twoFamilies...)
			if took := time.Since(begun); took > patience {
				t.Errorf("took %v", took)
			}
			if diff := cmp.Diff(alone(t, h, twoFamilies...), digests(r)); diff != "" {
				t.Errorf("digests (-one builder +the one left):\n%s", diff)
			}
			if by := on(r)["12.1-runtime-tiny"]; by == first || by == "" {
				t.Errorf("runtime was built by %q, want the builder that is left", by)
			}
			for address, state := range became(r) {
				if want := map[bool]string{true: record.BuilderLost, false: record.BuilderUsed}[address == first]; state != want {
					t.Errorf("%s is %s, want %s", address, state, want)
				}
			}
			if said := log.String(); strings.Count(said, "is lost") != 1 || !strings.Contains(said, first) || strings.Contains(said, ".go:") {
				t.Errorf("log %q, want the lost builder once, and no stack", said)
			}
		})
	}
}

// TestBuilderLostExporting: what a builder had sent of an image when it was killed is no hindrance
// for the one that sends it after that.
func TestBuilderLostExporting(t *testing.T) {
	t.Parallel()
	h, states := pair(t)
	cells, large := []string{"12.5-base-*", "12.6-base-*"}, h.catalog
	h.catalog = load(t, overlay(t, "12.5", "large", "cudart5"))
	first := on(h.done(t, cells...))["12.5-base-tiny"]
	h.catalog, h.out = large, t.TempDir()

	ended, met := make(chan struct{}), make(chan bool, 1)
	go func() {
		ingest := filepath.Join(h.out, "images", "ingest")
		for !growing(ingest) {
			select {
			case <-ended:
				met <- false
				return
			case <-time.After(time.Millisecond):
			}
		}
		for _, pid := range daemons(t, states[first]) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		met <- true
	}()
	r := h.done(t, cells...)
	close(ended)
	if !<-met {
		t.Fatal("nobody has seen the export")
	}
	if diff := cmp.Diff(alone(t, h, cells...), digests(r)); diff != "" {
		t.Errorf("digests (-one builder +the one left):\n%s", diff)
	}
	if by := on(r)["12.5-base-tiny"]; became(r)[first] == record.BuilderLost && by == first { // it may have been faster
		t.Errorf("base was built by %s, which is lost", by)
	}
	images := h.images(t)
	defer images.Close()
	sound(t, images, "12.5-base-tiny")
}

// TestBuildersLost: when none is left the run ends, as it does with one.
func TestBuildersLost(t *testing.T) {
	t.Parallel()
	h, states := pair(t)
	var order []string
	first := on(h.done(t, twoFamilies...))["12.1-runtime-tiny"]
	for _, address := range h.addresses {
		if address == first {
			order = append([]string{address}, order...)
		} else {
			order = append(order, address)
		}
	}
	var met atomic.Int32
	h.catalog = load(t, awaited(t, func(times int) bool {
		met.Store(int32(times))
		for _, pid := range daemons(t, states[order[min(times, 2)-1]]) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return false
	}))
	r, err := h.run(t.Context(), t, twoFamilies...)
	if !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), order[1]) || met.Load() != 2 {
		t.Errorf("Run's error = %v after %d attempts, want ErrUnavailable with %s after two", err, met.Load(), order[1])
	}
	if cell(t, r, "12.1-runtime-tiny").Status != record.Cancelled {
		t.Errorf("cells = %v, want runtime cancelled", states)
	}
	for address, state := range became(r) {
		if state != record.BuilderLost {
			t.Errorf("%s is %s, want it lost", address, state)
		}
	}
}

// TestBuilderAbsent: one that nobody started is said, and the others do its work. If nobody
// has started any, all are named.
func TestBuilderAbsent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.toolDir = t.TempDir()
	nobody := func(name string) string { return "unix://" + filepath.Join(h.state, name+".sock") }
	h.addresses = []string{nobody("a"), nobody("b")}
	var log strings.Builder
	h.log = slog.New(slog.NewTextHandler(&log, nil))
	r, err := h.run(t.Context(), t, twoFamilies...)
	if !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), "a.sock") || !strings.Contains(err.Error(), "b.sock") || r.Totals.Cancelled != 3 {
		t.Errorf("Run = %+v, %v, want three cancelled cells and ErrUnavailable with both addresses", r, err)
	}
	if strings.Contains(log.String(), "the others") {
		t.Errorf("log %q, and there are no others", &log)
	}
	h.addresses[1], _ = given(t)
	r = h.done(t, twoFamilies...)
	if said := log.String(); strings.Count(said, "the others") != 1 || !strings.Contains(said, "a.sock") {
		t.Errorf("log %q, want the absent one once", said)
	}
	want := map[string]string{h.addresses[0]: record.BuilderLost, h.addresses[1]: record.BuilderUsed}
	if diff := cmp.Diff(want, became(r)); diff != "" || r.Totals.Passed != 3 {
		t.Errorf("%+v; builders (-want +got):\n%s", r.Totals, diff)
	}
}

// TestBuilderOfPlatform: what one BuildKit alone can run goes there, and the rest to the other.
func TestBuilderOfPlatform(t *testing.T) {
	t.Parallel()
	h := twoPlatforms(t)
	both, _ := given(t)
	only, _ := givenBy(t, limited(t, "linux/amd64"))
	h.addresses, h.toolDir = []string{both, only}, t.TempDir()
	cells := []string{"12.7-base-*", "12.7-runtime-*"}
	r := h.done(t, cells...)
	for _, c := range r.Cells {
		if want := []string{only, both}; !slices.Equal(c.Builders, want) { // in the order of the platforms
			t.Errorf("%s is built by %v, want %v", c.ID, c.Builders, want)
		}
	}
	h.addresses, h.out = []string{only, "unix:///nobody/buildkitd.sock"}, t.TempDir()
	if _, err := h.run(t.Context(), t, cells...); err == nil || !strings.Contains(err.Error(), "linux/386") || !strings.Contains(err.Error(), only) {
		t.Errorf("Run's error = %v, want 386 and the BuildKit that does not run it", err)
	}
}

// limited is a folder with a buildkitd that runs programs of one platform.
func limited(t testing.TB, platform string) string {
	t.Helper()
	dir := t.TempDir()
	programs, err := filepath.Abs(tools)
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s/buildkitd --oci-worker-platform %s \"$@\"\n", programs, platform)
	err = errors.Join(os.WriteFile(filepath.Join(dir, "buildkitd"), []byte(script), 0o755), os.Symlink(filepath.Join(programs, "runc"), filepath.Join(dir, "runc")))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
