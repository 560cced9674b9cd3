// SPDX-License-Identifier: Apache-2.0

package container

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestClaim: runs begin and end at the same time, and none is in another's way.
func TestClaim(t *testing.T) {
	t.Parallel()
	r := &Runner{Dir: filepath.Join(t.TempDir(), "runs")}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				_, release, err := r.claim(t.Context())
				if err == nil {
					err = release()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if left, err := filepath.Glob(filepath.Join(r.Dir, runPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSweepTakesNoPattern: a folder named like one sweeps nothing of its neighbour's.
func TestSweepTakesNoPattern(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	neighbour, own := filepath.Join(dir, "neighbour", "run-1"), filepath.Join(dir, "neighbou[r]", "run-2")
	for _, name := range []string{neighbour, own} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := &Runner{Dir: filepath.Dir(own)}
	_, release, err := r.claim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(own); err == nil {
		t.Errorf("left %s", own)
	}
	if _, err := os.Stat(neighbour); err != nil {
		t.Errorf("swept its neighbour's: %v", err)
	}
}
