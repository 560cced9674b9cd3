// SPDX-License-Identifier: Apache-2.0

package docker_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/fleet/docker"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// TestHidden: a process that /proc does not show, as with hidepid, has not ended.
func TestHidden(t *testing.T) {
	t.Parallel()
	mine := docker.NewMark(time.Time{})
	parts := strings.Split(mine, ".")
	with := func(i int, value string) string {
		changed := slices.Clone(parts)
		changed[i] = value
		return strings.Join(changed, ".")
	}
	odd := t.TempDir()
	if err := os.MkdirAll(filepath.Join(odd, parts[1]), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(odd, parts[1], "stat"), []byte("1 (x) S"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		mark, proc string
		want       bool
	}{
		"seen":                {mine, "/proc", false},
		"hidden":              {mine, t.TempDir(), false},
		"nothing to be read":  {mine, odd, false},
		"none of its number":  {with(1, "999999999"), t.TempDir(), true},
		"another":             {with(2, "1"), "/proc", true},
		"another, and hidden": {with(2, "1"), t.TempDir(), false},
		"a number too large":  {with(1, "9999999999"), "/proc", true},
	} {
		if got := docker.Ended(test.mark, test.proc); got != test.want {
			t.Errorf("%s: ended %t, want %t", name, got, test.want)
		}
	}
}

// TestClock: times are the daemon's, whatever this host believes.
func TestClock(t *testing.T) {
	t.Parallel()
	d := newStandIn(t)
	there := time.Now().Add(-1000 * time.Hour)
	d.info = strings.Replace(d.info, "{", fmt.Sprintf(`{"SystemTime":%q,`, there.Format(time.RFC3339Nano)), 1)
	_, rest, _ := strings.Cut(docker.NewMark(there.Add(time.Hour)), ".")
	d.containers["in the time"] = &made{Container: daemon.Container{Labels: map[string]string{docker.Label: "00000000-1." + rest}}}
	h := d.open(docker.Options{})
	if d.containers["in the time"] == nil {
		t.Error("a container is gone whose time is not over")
	}
	delete(d.containers, "in the time")
	if _, _, err := h.Observe(t.Context(), subject(t, onDisk, sample(t, imagetest.Gzip)), nil, time.Minute); err != nil {
		t.Error(err)
	}
	if len(d.images) != 1 {
		t.Errorf("images %v, want the one that was streamed", d.images)
	}
	for _, tags := range d.images {
		if until, _ := strconv.ParseInt(strings.Split(tags[0], ".")[3], 10, 64); time.Unix(until, 0).After(there.Add(25 * time.Hour)) {
			t.Errorf("an image stays until %v, want a day after %v", time.Unix(until, 0), there)
		}
	}
	d.clean(h)
}

// TestLeft: what cannot be removed keeps nobody from the daemon, and is told where it is nobody else's turn.
func TestLeft(t *testing.T) {
	t.Parallel()
	parts := strings.Split(docker.NewMark(time.Time{}), ".")
	parts[1] = "999999999"
	mark := strings.Join(parts, ".")
	for name, test := range map[string]struct {
		at, says string
		status   int
		want     string
	}{
		"another client removes it": {"DELETE /containers/{id}", "removal of container x is already in progress", 409, ""},
		"of somebody's container":   {"DELETE /images/{name...}", "container 1 is using its referenced image", 409, ""},
		"a container stays":         {"DELETE /containers/{id}", "device busy", 500, "remove container x: device busy"},
		"an image stays":            {"DELETE /images/{name...}", "store is locked", 500, "remove image " + docker.Repository + ":" + mark + ": store is locked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newStandIn(t)
			d.containers["x"] = &made{Container: daemon.Container{Labels: map[string]string{docker.Label: mark}}}
			d.images["sha256:x"] = []string{docker.Repository + ":" + mark}
			d.faults[test.at] = refuse(test.status, test.says)
			h := d.open(docker.Options{})
			got := ""
			if err := errors.Join(h.Left...); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("left %q, want %q", got, test.want)
			}
			if len(d.containers)+len(d.images) != 1 {
				t.Errorf("%d containers, %d images, want the one alone that is not removed", len(d.containers), len(d.images))
			}
		})
	}
}

// TestRunElsewhere: what `run` has made from another host goes a day after, if it does not run, with its image; one that runs is named.
func TestRunElsewhere(t *testing.T) {
	t.Parallel()
	_, rest, _ := strings.Cut(docker.NewMark(time.Time{}), ".")
	rest, _, _ = strings.Cut(rest, ".0.")
	long, just := time.Now().Add(-48*time.Hour), time.Now()
	for name, test := range map[string]struct {
		state string
		made  time.Time
		stays bool
		named bool
	}{
		"runs":              {"running", long, true, true},
		"paused":            {"paused", long, true, true},
		"ended":             {"exited", long, false, false},
		"never started":     {"created", long, false, false},
		"about to start":    {"created", just, true, false},
		"about to be taken": {"exited", just, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newStandIn(t)
			client := "00000000-1." + rest
			d.containers["x"] = &made{Container: daemon.Container{Labels: map[string]string{docker.Label: client + ".0.abcdefgh"}}, state: test.state, created: test.made}
			d.images["sha256:x"] = []string{docker.Repository + ":" + client + ".1.abcdefgh"} // its day is over
			h := d.open(docker.Options{})
			if len(d.containers) > 0 != test.stays || len(d.images) > 0 != test.stays {
				t.Errorf("%d containers, %d images, want them %t", len(d.containers), len(d.images), test.stays)
			}
			if err := errors.Join(h.Left...); test.named != (err != nil) || err != nil && !strings.Contains(err.Error(), "container x, of a client on another host, runs") {
				t.Errorf("left %v, want it named: %t", err, test.named)
			}
		})
	}
}
