// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/image"
)

// large is a blob that is not hashed each time.
var large = bytes.Repeat([]byte("large "), 1<<20)

func dropDamaged(t testing.TB, s *image.Store, want ...digest.Digest) {
	t.Helper()
	got, err := s.DropDamaged(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("DropDamaged: %v, (-want +got):\n%s", err, diff)
	}
}

func TestDropDamaged(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		data   []byte
		damage func(t *testing.T, path string)
	}{
		"a bit of a large one, its time set back": {large, func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("L"), 6<<19); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
				t.Fatal(err)
			}
		}},
		"a large one replaced": {large, func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.WriteFile(path, bytes.ToUpper(large), 0o644)); err != nil {
				t.Fatal(err)
			}
		}},
		"a large one cut": {large, func(t *testing.T, path string) {
			if err := os.Truncate(path, 5<<20); err != nil {
				t.Fatal(err)
			}
		}},
		"a small one zeroed": {[]byte("{}"), func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte{0, 0}, 0o644)); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, t.TempDir())
			damaged := putBlob(t, s.Adopting(""), test.data)
			kept := putBlob(t, s.Adopting(""), []byte("kept"))
			dropDamaged(t, s)
			time.Sleep(20 * time.Millisecond) // a change in the same tick of the kernel's clock shows no trace
			test.damage(t, blobFile(s, damaged.Digest))
			dropDamaged(t, s, damaged.Digest)
			if _, err := os.Stat(blobFile(s, damaged.Digest)); err == nil {
				t.Error("the damaged blob is still there")
			}
			if _, err := os.Stat(blobFile(s, kept.Digest)); err != nil {
				t.Errorf("the whole blob: %v", err)
			}
			dropDamaged(t, s)
		})
	}
}

// TestStamps: a large blob is read again only if its file has changed. That it is not
// read shows in what the store believes of a damaged one with a forged stamp.
func TestStamps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	desc := putBlob(t, s.Adopting(""), large) // known from its commit
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	stamps := filepath.Join(dir, ".stamps.json")
	data, err := os.ReadFile(stamps)
	if err != nil {
		t.Fatal(err)
	}
	path := blobFile(s, desc.Digest)
	old := changed(t, path)
	time.Sleep(20 * time.Millisecond) // the kernel's clock for files ticks every 4 to 10 ms
	if err := os.WriteFile(path, bytes.ToUpper(large), 0o644); err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(data), old, changed(t, path), 1)
	if forged == string(data) {
		t.Fatalf("stamps = %s, want change time %s in it", data, old)
	}
	if err := os.WriteFile(stamps, []byte(forged), 0o644); err != nil {
		t.Fatal(err)
	}
	forgedStore := openStore(t, dir)
	dropDamaged(t, forgedStore)
	if err := errors.Join(forgedStore.Close(), os.WriteFile(stamps, data, 0o644)); err != nil {
		t.Fatal(err)
	}
	dropDamaged(t, openStore(t, dir), desc.Digest)
}

// changed is the change time of a file in nanoseconds.
func changed(t testing.TB, path string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return strconv.FormatInt(st.Ctim.Nano(), 10)
}

// TestStampsLost: whatever stands in their place, blobs are hashed again and it heals.
func TestStampsLost(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "null", "[]", "{", `{"sha256:x": 5}`} {
		dir := t.TempDir()
		s := openStore(t, dir)
		desc := putBlob(t, s.Content(), large)
		if err := errors.Join(s.Close(), os.WriteFile(filepath.Join(dir, ".stamps.json"), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, dir)
		dropDamaged(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if data, _ := os.ReadFile(filepath.Join(dir, ".stamps.json")); !strings.Contains(string(data), desc.Digest.String()) {
			t.Errorf("stamps after %q = %s", text, data)
		}
	}
}

func TestDropDamagedCancelled(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	desc := putBlob(t, s.Content(), large)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := s.DropDamaged(ctx); !errors.Is(err, context.Canceled) || len(got) > 0 {
		t.Errorf("DropDamaged = %v, %v, want Canceled", got, err)
	}
	if _, err := os.Stat(blobFile(s, desc.Digest)); err != nil {
		t.Error(err)
	}
}

// TestAdoptingDamaged: a blob of the engine's that was damaged long after it was made
// does not get in.
func TestAdoptingDamaged(t *testing.T) {
	t.Parallel()
	engine := openStore(t, t.TempDir())
	good, bad := putBlob(t, engine.Content(), []byte("good")), putBlob(t, engine.Content(), large)
	path := blobFile(engine, bad.Digest)
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := errors.Join(os.WriteFile(path, bytes.ToUpper(large), 0o644), os.Chtimes(path, yesterday, yesterday)); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, t.TempDir())
	adopting := s.Adopting(engine.Dir())
	putBlob(t, adopting, []byte("good"))
	if !sameFile(t, blobFile(engine, good.Digest), blobFile(s, good.Digest)) {
		t.Error("the whole blob was copied, want a hard link")
	}
	if _, err := content.OpenWriter(t.Context(), adopting, content.WithRef("bad"), content.WithDescriptor(bad)); err == nil || !strings.Contains(err.Error(), bad.Digest.String()) || !strings.Contains(err.Error(), "prune --all") {
		t.Errorf("Writer for a damaged blob: %v, want its digest and what to do", err)
	}
	if _, err := os.Stat(blobFile(s, bad.Digest)); err == nil {
		t.Error("the damaged blob got in")
	}
}
