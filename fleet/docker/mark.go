// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/fleet/daemon"
)

const (
	// Label is where a container has its mark.
	Label = "cudabuild.client"
	// repository is what streamed images are tagged in, with their mark.
	repository = "localhost/cudabuild-streamed"
)

// mark says whose something is and how long it is meant to last, in the characters of a tag:
// HOST.PID.START.UNTIL.RANDOM. HOST is the boot and the namespace of processes in which PID counts, START
// the time at which that process started, in ticks, UNTIL a time in seconds by the daemon's clock, 0 for as long as it lives.
type mark struct {
	host, pid, start string
	until            int64
}

// own is this process's.
func own() mark {
	pid := strconv.Itoa(os.Getpid())
	start, _ := started("/proc", pid)
	return mark{host: here(), pid: pid, start: start}
}

// client is the mark with nothing but whose it is.
func (m mark) client() mark {
	m.until = 0
	return m
}

// mine reports whether a mark is this process's.
func (m mark) mine() bool { return m.client() == own() }

// newMark is one of this process's.
func newMark(until time.Time) string {
	m := own()
	if !until.IsZero() {
		m.until = until.Unix()
	}
	return fmt.Sprintf("%s.%s.%s.%d.%s", m.host, m.pid, m.start, m.until, strings.ToLower(rand.Text()[:8]))
}

var markForm = regexp.MustCompile(`^([0-9a-f]{8}-[0-9]{1,20})\.([0-9]{1,10})\.([0-9]{1,20})\.([0-9]{1,18})\.[0-9a-z]{8}$`)

func parseMark(text string) (m mark, ok bool) {
	parts := markForm.FindStringSubmatch(text)
	if parts == nil {
		return m, false
	}
	until, err := strconv.ParseInt(parts[4], 10, 64)
	return mark{parts[1], parts[2], parts[3], until}, err == nil
}

// abandoned reports whether nobody comes back for what has the mark: its process has ended, or, of
// another host, its time is over.
func (m mark) abandoned(now time.Time) bool {
	if m.host == here() {
		return m.ended("/proc")
	}
	return m.until != 0 && now.Unix() > m.until
}

// here names this boot of this host, and the namespace of processes.
func here() string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid") // pid:[4026531836]
	return fmt.Sprintf("%.8s-%s", boot, strings.Trim(space, "pid:[]"))
}

// ended reports whether the process of the mark is known to be no more: there is none of its number, or it is another.
// What a /proc that is mounted with hidepid does not show may well run.
func (m mark) ended(proc string) bool {
	pid, err := strconv.ParseInt(m.pid, 10, 32)
	if err != nil || errors.Is(unix.Kill(int(pid), 0), unix.ESRCH) {
		return true
	}
	start, err := started(proc, m.pid)
	return err == nil && start != m.start
}

// started is when a process started, in ticks since the boot; "" if it has ended and nobody has waited for it yet.
func started(proc, pid string) (string, error) {
	stat, err := os.ReadFile(filepath.Join(proc, pid, "stat"))
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // the state is the first, proc_pid_stat(5)
	if len(fields) < 20 {
		return "", fmt.Errorf("%s of process %s: %q", proc, pid, stat)
	}
	if fields[0] == "Z" {
		return "", nil
	}
	return fields[19], nil
}

// clear ends what clients that were killed have left. A container of another host's that has no time is over if it has
// been there for a day and does not run; whether one that runs has its client nobody can see from here.
func (h *Host) clear(ctx context.Context) error {
	var left []error
	refused, err := h.sweep(ctx, func(c daemon.Listed, m mark) bool {
		timeless := m.until == 0 && m.host != here()
		if timeless && c.Idle() {
			return h.now().After(time.Unix(c.Created, 0).Add(streamed))
		}
		if timeless && c.ID != "" {
			left = append(left, fmt.Errorf("container %.12s, of a client on another host, runs; 'rm -f' of docker or podman ends it if that client is gone", c.ID))
		}
		return m.abandoned(h.now())
	})
	// In conflict is what somebody removes just now, or has a container of.
	h.Left = append(left, slices.DeleteFunc(refused, daemon.IsConflict)...)
	return err
}

// sweep ends the containers with such a mark and removes the images, which have no container, but those of a client that has one
// which stays. What the daemon refuses to remove is in refused; an error is that it does not say what it has.
func (h *Host) sweep(ctx context.Context, such func(daemon.Listed, mark) bool) (refused []error, err error) {
	containers, err := h.client.List(ctx, Label)
	if err != nil {
		return nil, err
	}
	stay := map[mark]bool{}
	for _, c := range containers {
		m, ok := parseMark(c.Labels[Label])
		switch {
		case !ok:
		case !such(c, m):
			stay[m.client()] = true
		default:
			if err := h.remove(ctx, c.ID); err != nil {
				refused = append(refused, err)
			}
		}
	}
	images, err := h.client.Images(ctx)
	for _, tag := range ours(images) {
		if m, ok := parseMark(tag[len(repository)+1:]); ok && !stay[m.client()] && such(daemon.Listed{}, m) {
			if err := h.client.RemoveImage(ctx, tag); err != nil {
				refused = append(refused, fmt.Errorf("remove image %s: %w", tag, err))
			}
		}
	}
	return refused, err
}

// ours are the tags of streamed images.
func ours(images []daemon.Image) (tags []string) {
	for _, img := range images {
		for _, tag := range img.RepoTags {
			if strings.HasPrefix(tag, repository+":") {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}
