// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"context"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// lister finds the same packages in every image.
type lister []verify.Package

func (l lister) Inventory(context.Context, string, v1.Image) (verify.Inventory, error) {
	return verify.Inventory{Packages: l}, nil
}

// TestLocked: an image whose packages are not the lock's does not get its tag, though it has
// been built before; and the record says which lock it was.
func TestLocked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	in := h.done(t, "12.1-base-*").Inputs[0]
	tiny := lock.System{OS: "tiny", Platform: "linux/amd64"}
	l := (*lock.Lock)(nil).Update(&lock.Lock{
		Roots:    []lock.Root{{System: tiny, Digest: in.Root, Index: in.Lists}},
		Packages: []lock.Package{{System: tiny, Name: "bash", Arch: "amd64", Version: "5.2-1"}},
	})
	data, err := l.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if h.lock, err = lock.Parse(data); err != nil {
		t.Fatal(err)
	}
	h.lister = lister{{Manager: "dpkg", Name: "bash", Arch: "amd64", Version: "5.2-1"}, {Manager: "wheel", Name: "torch", Version: "2"}}
	r := h.done(t, "12.1-base-*", "12.2-base-*")
	wantStates(t, r, map[string]string{"12.1-base-tiny": "passed", "12.2-base-tiny": "passed"})
	part := record.Part{Kind: record.LockPart, Digest: h.lock.Digest()}
	if got := r.Cells[1].Made[0].Parts[1]; r.Lock != h.lock.Digest() || got != part {
		t.Errorf("the record has lock %q and %+v, want %+v", r.Lock, got, part)
	}
	if !r.Cells[0].Cached || r.Cells[0].Made[0].Parts[1].Kind == record.LockPart {
		t.Errorf("what was built before the lock: %+v, want it unchanged, and made by no lock", r.Cells[0])
	}
	h.lister = lister{{Manager: "dpkg", Name: "bash", Arch: "amd64", Version: "5.3-1"}, {Manager: "rpm", Name: "tar", Version: "1"}}
	r = h.done(t, "12.1-base-*")
	wantStates(t, r, map[string]string{"12.1-base-tiny": "failed verify"})
	if c := r.Cells[0]; !strings.Contains(c.Reason, "2 packages are not as the lock has them:\n  bash:amd64 5.3-1 (the lock has 5.2-1)\n  tar 1 (not in the lock)") || !strings.Contains(c.Hint, "cudabuild lock update") {
		t.Errorf("reason %q, hint %q", c.Reason, c.Hint)
	}
	h.lock = nil
	wantStates(t, h.done(t, "12.1-base-*"), map[string]string{"12.1-base-tiny": "passed"})
}
