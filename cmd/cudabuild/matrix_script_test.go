// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/bootstrap"
	"github.com/cudabuild/cudabuild/build"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/record"
)

// holdState is the scripts' command `holdstate DIR FILE`: it owns the state directory
// as a run does, writes its pid to FILE, and stays until that file is gone.
func holdState() {
	lock, err := engine.Acquire(context.Background(), os.Args[1], nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := image.WriteFile(os.Args[2], fmt.Appendf(nil, "pid %d\n", os.Getpid())); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for range 3000 {
		if _, err := os.Stat(os.Args[2]); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = lock.Release()
}

// TestExitCodes is the table of docs/exit-codes.md as far as a run can take it: what
// Run returns, and what the program says and exits with.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	ended := func(states ...record.Status) *record.Run {
		r := &record.Run{}
		for _, s := range states {
			r.Cells = append(r.Cells, record.Cell{Status: s})
		}
		r.Sum()
		return r
	}
	passed, failed := ended(record.Passed), ended(record.Passed, record.Failed, record.Skipped)
	cases := map[string]struct {
		result *record.Run
		err    error
		code   int
		want   []string // parts of stderr
	}{
		"all passed":    {passed, nil, 0, nil},
		"one failed":    {failed, nil, 1, []string{"2 of 3 images did not pass"}},
		"no BuildKit":   {failed, fmt.Errorf("%w: it died", engine.ErrUnavailable), 3, []string{"it died", "make tools", "--builder"}},
		"no bootstrap":  {failed, fmt.Errorf("%w: it needs root", bootstrap.ErrUnavailable), 3, []string{"needs root", "as root"}},
		"disk":          {failed, &build.DiskError{Dir: "/state", NeedMB: 20, FreeMB: 10}, 3, []string{"20 MB", "/state", "prune --all"}},
		"disk full":     {failed, &build.DiskError{Dir: "/state", FreeMB: 1}, 3, []string{"full", "/state"}},
		"state busy":    {nil, &engine.BusyError{Dir: "/state", PID: 4711}, 3, []string{"4711", "--state-dir"}},
		"images busy":   {nil, &image.BusyError{Dir: "out/images"}, 3, []string{"out/images", "--out"}},
		"anything else": {nil, errors.New("the sky fell"), 3, []string{"the sky fell"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := couldNot(test.err)
			if test.result != nil {
				err = outcome(test.result, test.err)
			}
			var stderr bytes.Buffer
			if code := report(t.Context(), err, &stderr); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("stderr = %q, want it to hold %q", &stderr, want)
				}
			}
			if len(test.want) == 0 && stderr.Len() > 0 {
				t.Errorf("stderr = %q, want nothing", &stderr)
			}
		})
	}
}

// TestInterrupted: whatever the error is, an interrupt is an interrupt.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	err := outcome(&record.Run{}, fmt.Errorf("run: %w", context.Canceled))
	if code := report(ctx, err, &stderr); code != exitInterrupted || stderr.String() != "cudabuild: interrupted\n" {
		t.Errorf("exit code %d, %q", code, &stderr)
	}
	if code := run(ctx, []string{"matrix", "--compression", "lz4"}, strings.NewReader(""), io.Discard, io.Discard); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
}
