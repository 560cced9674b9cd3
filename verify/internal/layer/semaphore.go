// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// semaphore bounds how many layers are read at once. Whoever waits with the biggest
// layer comes first, whatever image it belongs to: the last layer to be read should
// be a small one.
type semaphore struct {
	total int

	mu      sync.Mutex
	free    int
	waiting []*waiter // the biggest first; equals in order of arrival
}

type waiter struct {
	size  int64
	need  int
	ready chan struct{}
}

func newSemaphore(n int) *semaphore { return &semaphore{total: n, free: n} }

// acquire takes need units, at most all, for a layer of size bytes. The caller
// gives them back by calling release.
func (s *semaphore) acquire(ctx context.Context, size int64, need int) (release func(), err error) {
	need = min(need, s.total)
	w := &waiter{size: size, need: need, ready: make(chan struct{})}
	s.mu.Lock()
	at, _ := slices.BinarySearchFunc(s.waiting, size, func(w *waiter, size int64) int {
		return cmp.Or(cmp.Compare(size, w.size), -1) // behind those of the same size
	})
	s.waiting = slices.Insert(s.waiting, at, w)
	s.grant()
	s.mu.Unlock()
	select {
	case <-w.ready:
		return func() { s.release(need) }, nil
	case <-ctx.Done():
		s.abandon(w)
		return nil, context.Cause(ctx)
	}
}

func (s *semaphore) release(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	s.grant()
}

// grant lets the first ones in. One that needs more than is free holds up those
// behind it, or it would never get its turn.
func (s *semaphore) grant() {
	for len(s.waiting) > 0 && s.waiting[0].need <= s.free {
		s.free -= s.waiting[0].need
		close(s.waiting[0].ready)
		s.waiting = s.waiting[1:]
	}
}

// abandon leaves the queue, or gives back what was granted at the same moment.
func (s *semaphore) abandon(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.waiting, w); at >= 0 {
		s.waiting = slices.Delete(s.waiting, at, at+1)
	} else {
		s.free += w.need
	}
	s.grant()
}
