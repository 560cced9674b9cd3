// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func TestSemaphoreBiggestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSemaphore(1)
		hold, _ := s.acquire(t.Context(), 0, 9) // all there are
		var order []int64
		for _, size := range []int64{1, 30, 2, 30, 7} {
			go func() {
				release, _ := s.acquire(t.Context(), size, 1)
				order = append(order, size)
				release()
			}()
			synctest.Wait()
		}
		hold()
		synctest.Wait()
		if diff := cmp.Diff([]int64{30, 30, 7, 2, 1}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// TestSemaphoreForOne holds that a layer that needs all slots is not passed by the small
// ones behind it for ever.
func TestSemaphoreForOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSemaphore(2)
		hold, _ := s.acquire(t.Context(), 1, 1)
		var order []int
		for _, need := range []int{2, 1} {
			go func() {
				release, _ := s.acquire(t.Context(), int64(need), need)
				order = append(order, need)
				release()
			}()
			synctest.Wait()
		}
		if len(order) > 0 {
			t.Errorf("%v got in before their turn", order)
		}
		hold()
		synctest.Wait()
		if diff := cmp.Diff([]int{2, 1}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestSemaphoreAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSemaphore(1)
		hold, _ := s.acquire(t.Context(), 1, 1)
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() {
			_, err := s.acquire(ctx, 99, 1)
			gaveUp <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("acquire = %v, want %v", err, context.Canceled)
		}
		hold()
		if s.free != 1 || len(s.waiting) != 0 {
			t.Errorf("free %d, waiting %d, want 1 and 0", s.free, len(s.waiting))
		}
	})
}
