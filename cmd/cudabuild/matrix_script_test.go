// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/build"
	"github.com/cudabuild/cudabuild/engine"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/emulator"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/record"
)

// holdState is the scripts' command `holdstate DIR FILE`: it owns the state directory
// as a run does, writes its pid to FILE, and stays until that file is gone.
func holdState() {
	lock, err := engine.Acquire(context.Background(), os.Args[1], nil)
	hold(err)
	_ = lock.Release()
}

// holdImages is the same for an image folder.
func holdImages() {
	store, err := image.OpenStore(os.Args[1])
	hold(err)
	_ = store.Close()
}

func hold(err error) {
	if err == nil {
		err = files.Write(os.Args[2], fmt.Appendf(nil, "pid %d\n", os.Getpid()))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for range 3000 {
		if _, err := os.Stat(os.Args[2]); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
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
		"no bootstrap":  {failed, fmt.Errorf("%w: it needs root", base.ErrUnavailable), 3, []string{"needs root", "make deps"}},
		"no builder":    {failed, &engine.AddressError{Address: "tcp://there:1234", Err: errors.New("refused")}, 3, []string{"tcp://there:1234", "refused", "give --builder"}},
		"wrong builder": {failed, &engine.AddressError{Address: "tcp://there", Err: hint.Usage("none", "write another")}, 2, []string{"write another"}},
		"no mirror":     {failed, fmt.Errorf("%w: refused", base.ErrUnreachable), 3, []string{"refused", "--debian-mirror"}},
		"no emulator":   {failed, &build.PlatformError{Platform: "linux/arm64", Cell: "x", Err: emulator.ErrNone}, 3, []string{"x for linux/arm64", "make emulator"}},
		"no platform":   {failed, &build.PlatformError{Platform: "linux/arm64", Cell: "x", Err: errors.New("others only")}, 3, []string{"others only", "--builder"}},
		"disk":          {failed, &build.DiskError{Dir: "/state", NeedMB: 20, FreeMB: 10}, 3, []string{"20 MB", "/state", "prune --all"}},
		"disk full":     {failed, &build.DiskError{Dir: "/state", FreeMB: 1}, 3, []string{"full", "/state"}},
		"state busy":    {nil, &engine.BusyError{Dir: "/state", PID: 4711}, 3, []string{"4711", "--state-dir"}},
		"images busy":   {nil, &image.BusyError{Dir: "out/images", PID: 4712}, 3, []string{"out/images", "4712", "--out"}},
		"forbidden":     {nil, fmt.Errorf("state directory: %w", fs.ErrPermission), 3, []string{"--state-dir"}},
		"anything else": {nil, errors.New("the sky fell"), 3, []string{"the sky fell"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := new(workspace).unknown(test.err)
			if test.result != nil {
				err = new(workspace).outcome(test.result, test.err)
			}
			var stderr bytes.Buffer
			if code := conclude(t.Context(), err, &stderr); code != test.code {
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

// TestAnswerNotWritten: a full disk under stdout is no error of usage.
func TestAnswerNotWritten(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var stderr strings.Builder
	code := run(t.Context(), []string{"schema", "matrix"}, strings.NewReader(""), full, &stderr)
	want := "cudabuild: error: write /dev/full: no space left on device\ncudabuild: hint: free some space"
	if code != exitUnknown || !strings.HasPrefix(stderr.String(), want) {
		t.Errorf("exit code %d, %q; want %d, %q", code, stderr.String(), exitUnknown, want)
	}
}

// TestHintForRoot: who is root already is not told to become it.
func TestHintForRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		require.Missing(t, "buildkit", errors.New("not root"))
	}
	for _, err := range []error{engine.ErrUnavailable, base.ErrUnavailable, fs.ErrPermission} {
		var stderr bytes.Buffer
		conclude(t.Context(), new(workspace).unknown(fmt.Errorf("it ended: %w", err)), &stderr)
		if strings.Contains(stderr.String(), "root") || !strings.Contains(stderr.String(), "hint: ") {
			t.Errorf("stderr = %q, want a hint that does not speak of root", &stderr)
		}
	}
}

// TestInterrupted: whatever the error is, an interrupt is an interrupt.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	err := new(workspace).outcome(&record.Run{}, fmt.Errorf("run: %w", context.Canceled))
	if code := conclude(ctx, err, &stderr); code != exitInterrupted || stderr.String() != "cudabuild: interrupted\n" {
		t.Errorf("exit code %d, %q", code, &stderr)
	}
	if code := run(ctx, []string{"matrix", "--compression", "lz4"}, strings.NewReader(""), io.Discard, io.Discard); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
}
