// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
)

func TestAge(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"7d": 7 * day, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "1d12h30m": day + 12*time.Hour + 30*time.Minute, "9999d": 9999 * day,
		"": 0, "7": 0, "0d": 0, "-1d": 0, "1w": 0, "1.5h": 0, "3h1d": 0, "1d ": 0, "10000d": 0, "7D": 0, "1h1h": 0, "60s": 0,
	} {
		var a age
		if err := a.Set(text); time.Duration(a) != want || (err == nil) != (want > 0) {
			t.Errorf("Set(%q) = %v, %v, want %v", text, time.Duration(a), err, want)
		}
	}
}

// FuzzAge holds that there is an age or an error, and that an age survives its own text.
func FuzzAge(f *testing.F) {
	for _, text := range []string{"7d", "36h", "1d12h30m", "", "9999d9999h9999m", "0m", "-7d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a, again age
		if err := a.Set(text); (err == nil) != (a > 0) {
			t.Fatalf("Set(%q) = %d, %v", text, a, err)
		}
		if a > 0 && a < age(9999*24*time.Hour) && (again.Set(a.String()) != nil || again != a) {
			t.Fatalf("%q is %s, which is %d, want %d", text, &a, again, a)
		}
	})
}

// TestFlakyIsNoFailure: what is flaky and passed this time ends with 0.
func TestFlakyIsNoFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		state  gpu.State
		result gpu.Result
		want   int
	}{
		"flaky, passed": {gpu.Flaky, gpu.Passed, 0},
		"flaky, failed": {gpu.Flaky, gpu.Failed, exitFailed},
		"slower":        {gpu.Slower, gpu.Passed, exitFailed},
		"failed":        {gpu.Broken, gpu.Waived, exitFailed},
	} {
		seen := observed{rows: []gpu.Row{{Result: test.result}}, worse: []gpu.Regression{{State: test.state}}}
		code := 0
		if err := seen.err(nil); err != nil {
			code = err.(*exitError).code //nolint:errorlint // it is one
		}
		if code != test.want {
			t.Errorf("%s: exit code %d, want %d", name, code, test.want)
		}
	}
}
