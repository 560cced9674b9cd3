// SPDX-License-Identifier: Apache-2.0

package container

import (
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
				_, release, err := r.claim()
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
