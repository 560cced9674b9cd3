// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestCacheIsBounded: what nobody used for long goes, and so does what was used longest
// ago where there is too much; several processes may sweep at once.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fact := func(i, days int) string {
		file := filepath.Join(dir, fmt.Sprintf("sha256-%02d.v1.facts", i))
		used := time.Now().Add(-time.Duration(days) * 24 * time.Hour)
		if err := errors.Join(os.WriteFile(file, make([]byte, 100_000), 0o600), os.Chtimes(file, used, used)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var files []string
	for i := range 10 {
		files = append(files, fact(i, 20-i))
	}
	old := fact(50, 100)
	mine := filepath.Join(dir, "mine.txt")
	if err := os.WriteFile(mine, make([]byte, 500_000), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { sweepCache(dir, "v1", 450_000) })
	}
	wg.Wait()
	for i, file := range append(files, old, mine) {
		_, err := os.Stat(file)
		if kept := err == nil; kept != (i >= 6 && i != 10) {
			t.Errorf("%s: kept %t", filepath.Base(file), kept)
		}
	}
}
