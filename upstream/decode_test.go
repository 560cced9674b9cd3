// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"io"
	"strings"
	"testing"
)

// TestBounded: a list that goes on for longer than any does is an error, not a shorter list.
func TestBounded(t *testing.T) {
	t.Parallel()
	for most, want := range map[int64]bool{9: false, 10: true, 11: true} {
		if _, err := io.ReadAll(&bounded{strings.NewReader("0123456789"), most}); (err == nil) != want {
			t.Errorf("10 bytes of at most %d: %v", most, err)
		}
	}
}
