// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/internal/imagetest"
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
	before := h.done(t, "12.1-base-*")
	in, first := before.Inputs[0], before.Cells[0].Made[0]
	tiny := lock.System{OS: "tiny", Platform: "linux/amd64"}
	l := (*lock.Lock)(nil).Update(&lock.Lock{
		Tools:    map[string]string{"cudabuild": "v8" + lock.ToolSeparator + "v9", "buildkitd": "v0" + lock.ToolSeparator + first.Tools["buildkitd"], "other": "1"},
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
	var said bytes.Buffer
	h.log = slog.New(slog.NewTextHandler(&said, nil))
	r := h.done(t, "12.1-base-*", "12.2-base-*", "12.1-devel-*")
	h.log = nil
	wantStates(t, r, map[string]string{"12.1-base-tiny": "passed", "12.2-base-tiny": "passed", "12.1-devel-tiny": "passed"})
	if got := said.String(); strings.Count(got, "not of the locked version") != 1 || !strings.Contains(got, `tool=cudabuild version=v0 locked="v8, v9"`) {
		t.Errorf("said of tools: %q, want one line", got)
	}
	part := record.Part{Kind: record.LockPart, Digest: h.lock.Digest()}
	if got := r.Cells[1].Made[0].Parts; r.Lock != h.lock.Digest() || !slices.Contains(got, part) {
		t.Errorf("the record has lock %q and %+v, want %+v", r.Lock, got, part)
	}
	if !r.Cells[0].Cached || byLock(r.Cells[0]) {
		t.Errorf("what was built before the lock: %+v, want it unchanged, and made by no lock", r.Cells[0])
	}
	h.lister = lister{{Manager: "dpkg", Name: "bash", Arch: "amd64", Version: "5.3-1"}, {Manager: "rpm", Name: "tar", Version: "1"}}
	r = h.done(t, "12.1-base-*")
	wantStates(t, r, map[string]string{"12.1-base-tiny": "failed verify"})
	if c := r.Cells[0]; !strings.Contains(c.Reason, "2 packages are not as the lock has them:\n  bash:amd64 5.3-1 (the lock has 5.2-1)\n  tar 1 (not in the lock)") || !strings.Contains(c.Hint, "cudabuild lock update") || !strings.HasSuffix(c.Hint, h.failed()) {
		t.Errorf("reason %q, hint %q", c.Reason, c.Hint)
	}
	// What cannot be read is no image that is refused.
	if err := os.RemoveAll(h.failed()); err != nil {
		t.Fatal(err)
	}
	h.lister = unreadable{}
	r = h.done(t, "12.1-base-*")
	wantStates(t, r, map[string]string{"12.1-base-tiny": "failed verify"})
	if _, err := os.Stat(h.failed()); r.Cells[0].Reason != "a package list is unreadable" || err == nil {
		t.Errorf("reason %q, and images are kept as refused: %v", r.Cells[0].Reason, err == nil)
	}
	h.lister = lister{{Manager: "dpkg", Name: "bash", Arch: "amd64", Version: "5.2-1"}}
	h.forgetMade(t)
	if r = h.done(t, "12.1-base-*"); byLock(r.Cells[0]) {
		t.Errorf("what an earlier cudabuild has built: %+v, want it made by no lock", r.Cells[0].Made)
	}
	h.lock = nil
	wantStates(t, h.done(t, "12.1-base-*"), map[string]string{"12.1-base-tiny": "passed"})
}

func byLock(c record.Cell) bool {
	return slices.ContainsFunc(c.Made[0].Parts, func(p record.Part) bool { return p.Kind == record.LockPart })
}

// unreadable is a lister that can tell of no image what is in it.
type unreadable struct{}

func (unreadable) Inventory(context.Context, string, v1.Image) (verify.Inventory, error) {
	return verify.Inventory{}, errors.New("a package list is unreadable")
}

// TestLockedMoved: a cell that is yet to be built needs packages, though its root is there: if a mirror has them
// no more that is said before anything is made. What is built needs none.
func TestLockedMoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const release = "Date: Mon, 30 Nov 2026 02:14:33 UTC\n"
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, err := zw.Write([]byte("Package: bash\nVersion: 5.3-1\nArchitecture: amd64\nFilename: b\nSize: 1\nSHA256: " + strings.Repeat("b", 64) + "\n"))
	if err = errors.Join(err, zw.Close()); err != nil {
		t.Fatal(err)
	}
	moved := map[string]string{
		"/debian/dists/tiny/InRelease":                     strings.Replace(release, "Mon, 30 Nov", "Tue, 01 Dec", 1) + fmt.Sprintf("SHA256:\n %s %d main/binary-amd64/Packages.gz\n", digest.FromBytes(packed.Bytes()).Encoded(), packed.Len()),
		"/debian/dists/tiny/main/binary-amd64/Packages.gz": packed.String(),
	}
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, moved[r.URL.Path]) }))
	t.Cleanup(mirror.Close)
	bases, err := base.Open(filepath.Join(h.state, "bases"))
	if err != nil {
		t.Fatal(err)
	}
	tiny, _ := h.catalog.Recipe("tiny", "12.1")
	from, err := bases.Put(t.Context(), tiny, "linux/amd64", time.Unix(1767225600, 0).UTC(), tinyRoot(t, "amd64"), func(w io.Writer) error {
		tw := tar.NewWriter(w)
		imagetest.Tar(tw, "sources.list", imagetest.Entry{Data: "deb http://own.example/debian tiny main\n"})
		imagetest.Tar(tw, "lists", imagetest.Entry{Dir: true})
		imagetest.Tar(tw, "lists/own.example_debian_dists_tiny_InRelease", imagetest.Entry{Data: release})
		return tw.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	h.done(t, "12.1-base-*")
	root, lists, _, err := bases.State(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	h.lister, h.mirror = lister{}, mirror.URL
	h.lock = (*lock.Lock)(nil).Update(&lock.Lock{
		Roots: []lock.Root{root}, Lists: lists,
		Packages: []lock.Package{{System: root.System, Name: "bash", Arch: "amd64", Version: "5.2-1", SHA256: strings.Repeat("a", 64)}},
	})
	wantStates(t, h.done(t, "12.1-base-*"), map[string]string{"12.1-base-tiny": "passed"})
	r, err := h.run(t.Context(), t, "12.1-base-*", "12.2-base-*")
	var why *base.MovedError
	if !errors.As(err, &why) || len(why.Lost) != 1 || r.Totals.Cancelled != 2 {
		t.Errorf("with a cell that is not built: %v, %+v", err, r.Totals)
	}
}
