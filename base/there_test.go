// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/cause"
	"github.com/cudabuild/cudabuild/internal/emulator"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/recipes"
)

// standInElsewhere makes a root of a few bytes.
type standInElsewhere struct {
	steps []Step
	err   error // of the step that makes the root
	left  func(dir string) error
}

func (e *standInElsewhere) Run(_ context.Context, s Step, dir string) error {
	e.steps = append(e.steps, s)
	files := map[string]string{"sources.list": ownList}
	if s.Sources != nil {
		if e.err != nil {
			return e.err
		}
		files = map[string]string{"sources.list": ownList, "root.tar": "root", "tools": "apt 2.6.1\nmmdebstrap 1.3.5-7\n", "lists/own.example_debian_dists_trixie_InRelease": "list"}
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	if e.left != nil {
		return e.left(dir)
	}
	return nil
}

// noPlatform is one whose programs run nowhere here, so that this machine makes no root for it.
const noPlatform = "linux/s390x"

var trixie = &recipes.Recipe{OS: recipes.OS{Name: "debian13", Bootstrap: recipes.Bootstrap{Suite: "trixie", Components: []string{"main", "contrib"}, Image: "docker.io/library/debian:trixie-slim"}}}

// datedMirror has an InRelease file for every suite, for one user; by date it has one at that of the archive alone.
func datedMirror(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, word, _ := r.BasicAuth(); user != "somebody" || word != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if date := byDate.FindString(r.URL.Path); date != "" && date != "/"+archiveDate+"/" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintln(w, "Date: Sat, 15 Nov 2025 10:00:00 UTC")
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http://", "http://somebody:secret@", 1)
}

// archiveDate is when a mirror by date has taken in what datedMirror has: some time after the date in that.
const archiveDate = "20251115T113000Z"

// TestThere: with a mirror that wants a login, steps elsewhere make the root, and what they are
// says nothing of either.
func TestThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	e := &standInElsewhere{}
	s.Elsewhere, s.Mirror = e, datedMirror(t)
	b, err := s.Base(t.Context(), trixie, noPlatform)
	if err != nil {
		t.Fatal(err)
	}
	if b.Tools["mmdebstrap"] != "1.3.5-7" || len(b.Dates) != 3 || b.Platform != noPlatform || b.Root == "" || b.Lists == "" {
		t.Errorf("Base = %+v", b)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "make-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if age := time.Since(b.Read); age < 0 || age > time.Hour {
		t.Errorf("read at %v", b.Read)
	}
	if len(e.steps) != 2 || e.steps[0].Again || e.steps[1].Again {
		t.Fatalf("steps = %+v, want two", e.steps)
	}
	root := e.steps[1]
	if got := string(root.Sources); strings.Count(got, "deb ") != 3 || !strings.Contains(got, "127.0.0.1") {
		t.Errorf("sources that the step uses: %q, want those of the mirror", got)
	}
	for _, date := range []string{"# http://own.example/debian/dists/trixie-updates/InRelease 2025-11-15T10:00:00Z\n", "deb http://own.example/debian trixie main contrib\n"} {
		if !strings.Contains(root.Script, date) {
			t.Errorf("the script does not say %q:\n%s", date, root.Script)
		}
	}
	for _, step := range e.steps {
		step.Sources = nil
		data, err := json.Marshal(step)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"secret", "somebody", "127.0.0.1"} {
			if strings.Contains(string(data), word) {
				t.Errorf("step %q says %q", step.Title, word)
			}
		}
	}
	// Known from now on; and with Refresh, looked at again but not made again.
	s.Refresh = true
	if again, err := s.Base(t.Context(), trixie, noPlatform); err != nil || again.Root != b.Root {
		t.Errorf("again: %+v, %v", again, err)
	}
	if len(e.steps) != 3 || !e.steps[2].Again {
		t.Errorf("again: %d steps, want one that is not served from a cache", len(e.steps))
	}
}

// TestThereLocked: from a mirror by date, whose lists may have expired, comes the root of the lock; it is
// not the newest for who builds without. Another mirror is asked for its lists, and nothing is made.
func TestThereLocked(t *testing.T) {
	t.Parallel()
	first, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	mirror := datedMirror(t)
	first.Elsewhere, first.Mirror = &standInElsewhere{}, mirror+"/archive/{archive}/"+archiveDate
	want, err := first.Base(t.Context(), trixie, noPlatform)
	if err != nil {
		t.Fatal(err)
	}
	if got := want.Read.Format(lock.DateFormat); got != archiveDate {
		t.Errorf("read at %s, want the date of the mirror", got)
	}
	l := &lock.Lock{Roots: []lock.Root{{System: want.system(), Digest: want.Root.String(), Index: want.Lists.String(), Read: want.Read}}}
	for address, date := range want.Dates {
		l.Lists = append(l.Lists, lock.List{System: want.system(), Repository: address, Date: date, SHA256: digest.FromString("Date: Sat, 15 Nov 2025 10:00:00 UTC\n").Encoded()})
	}
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e := &standInElsewhere{}
	s.Elsewhere, s.Mirror, s.Lock = e, mirror+"/archive/{archive}/"+l.Date(want.system()).Format(lock.DateFormat), l
	if err := s.CheckLock(t.Context(), trixie, noPlatform); err != nil || len(e.steps) != 1 {
		t.Errorf("CheckLock: %v after %d steps, want one", err, len(e.steps))
	}
	b, err := s.Base(t.Context(), trixie, noPlatform)
	if err != nil || b.Root != want.Root || b.Lists != want.Lists || !b.Read.Equal(want.Read) {
		t.Fatalf("Base = %+v, %v, want %+v", b, err, want)
	}
	if got := string(e.steps[2].Sources); strings.Count(got, "deb [check-valid-until=no] http://127.0.0.1") != 3 {
		t.Errorf("sources of the step: %q", got)
	}
	if known, ok := s.Known(t.Context(), trixie, noPlatform); !ok || known.Root != want.Root {
		t.Errorf("Known = %+v, %v", known, ok)
	}
	s.Lock = nil
	if known, ok := s.Known(t.Context(), trixie, noPlatform); ok {
		t.Errorf("without the lock: %+v, want none", known)
	}
	l.Lists[0].SHA256 = digest.FromString("other").Encoded()
	s, e = first, &standInElsewhere{}
	s.Elsewhere, s.Mirror, s.Lock = e, mirror, l
	l.Roots[0].Digest = digest.FromString("other").String()
	var moved *MovedError
	if _, err := s.Base(t.Context(), trixie, noPlatform); !errors.As(err, &moved) || len(e.steps) != 1 {
		t.Errorf("Base = %v after %d steps, want that the lists have moved", err, len(e.steps))
	}
}

// TestThereFails: an outage of the mirror is one, wherever mmdebstrap runs; and nothing stays.
func TestThereFails(t *testing.T) {
	t.Parallel()
	down := cause.Find("E: Failed to fetch http://m.example/pool/libc6_2.41-12_amd64.deb  503  Service Unavailable\n")
	for name, test := range map[string]struct {
		elsewhere Elsewhere
		image     string
		want      error
		text      string
	}{
		"down":       {&standInElsewhere{err: fmt.Errorf("[debian13 s390x] run mmdebstrap: %w", down)}, "x:1", ErrUnreachable, "package libc6 2.41-12"},
		"other":      {&standInElsewhere{err: io.ErrUnexpectedEOF}, "x:1", io.ErrUnexpectedEOF, ""},
		"no image":   {&standInElsewhere{}, "", ErrUnavailable, "bootstrap.image"},
		"no builder": {nil, "x:1", ErrUnavailable, noPlatform},
	} {
		dir := t.TempDir()
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		s.Elsewhere, s.Mirror = test.elsewhere, datedMirror(t)
		r := *trixie
		r.OS.Bootstrap.Image = test.image
		if _, err = s.Base(t.Context(), &r, noPlatform); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: Base = %v, want %v with %q", name, err, test.want, test.text)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*-*")); len(left) > 0 {
			t.Errorf("%s: left: %v", name, left)
		}
	}
}

// TestThereLeaves: a file of this machine becomes no part of a base, whatever stands where the steps
// leave theirs, and nothing is waited for.
func TestThereLeaves(t *testing.T) {
	t.Parallel()
	const list = "lists/own.example_debian_dists_trixie_InRelease"
	outside := t.TempDir()
	key := filepath.Join(outside, "id_rsa")
	if err := os.WriteFile(key, []byte("a word of the user's"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(to string) func(string) error { return func(path string) error { return os.Symlink(to, path) } }
	pipe := func(path string) error { return unix.Mkfifo(path, 0o600) }
	big := func(size int64) func(string) error {
		return func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size))
		}
	}
	for name, test := range map[string]struct {
		file string
		make func(path string) error
	}{
		"sources link": {"sources.list", link(key)},
		"sources big":  {"sources.list", big(maxText + 1)},
		"tools link":   {"tools", link(key)},
		"tools pipe":   {"tools", pipe},
		"root link":    {"root.tar", link(key)},
		"root pipe":    {"root.tar", pipe},
		"root big":     {"root.tar", big(maxFile + 1)},
		"lists link":   {"lists", link(outside)},
		"list link":    {list, link(key)},
		"list pipe":    {list, pipe},
		"list inside":  {list, link("../root.tar")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s.Mirror = datedMirror(t)
			s.Elsewhere = &standInElsewhere{left: func(dir string) error {
				path := filepath.Join(dir, test.file)
				return errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Dir(path), 0o755), test.make(path))
			}}
			if b, err := s.Base(t.Context(), trixie, noPlatform); err == nil || !strings.Contains(err.Error(), test.file) {
				t.Errorf("Base = %+v, %v, want an error that names %s", b, err, test.file)
			}
			if files, err := os.ReadDir(outside); err != nil || len(files) != 1 || files[0].Name() != "id_rsa" {
				t.Errorf("outside are %v, %v", files, err)
			}
		})
	}
}

// TestHereFirst: a machine that makes roots itself asks nobody else to.
func TestHereFirst(t *testing.T) {
	t.Parallel()
	if err := Here("linux/amd64"); err != nil {
		require.Missing(t, "root", err)
	}
	s := &Store{Elsewhere: &standInElsewhere{}}
	if by, err := s.runner("linux/amd64"); err != nil || by == nil {
		t.Fatalf("runner = %v, %v", by, err)
	} else if _, ok := by.(here); !ok {
		t.Errorf("runner for this machine's own platform is %T, want here", by)
	}
	if by, err := s.runner(noPlatform); err != nil {
		t.Error(err)
	} else if _, ok := by.(there); !ok {
		t.Errorf("runner for a platform that does not run here is %T, want there", by)
	}
	if err := Here(noPlatform); !errors.Is(err, ErrUnavailable) || !errors.Is(err, emulator.ErrNone) {
		t.Errorf("Here = %v", err)
	}
}

// TestSameCall: mmdebstrap gets the same arguments here as elsewhere.
func TestSameCall(t *testing.T) {
	if os.Geteuid() != 0 {
		require.Missing(t, "root", errors.New("not root"))
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "mmdebstrap"), []byte(standIn), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	want := bootstrap{trixie.OS, "linux/amd64", sources{own: ownList, used: "deb http://m.example trixie main\ndeb http://m.example x main\n"}}
	dir, e := t.TempDir(), &standInElsewhere{}
	if _, err := (here{dir: dir, settings: []byte("x")}).root(t.Context(), want, dir, io.Discard); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "arguments"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (there{e, dir, false}).root(t.Context(), want, t.TempDir(), io.Discard); err != nil {
		t.Fatal(err)
	}
	step := e.steps[0]
	got := strings.Join(append(slices.Clone(step.Arguments), strings.TrimSuffix(string(step.Sources), "\n")), "\n") + "\n"
	if got != string(data) {
		t.Errorf("elsewhere its arguments are\n%s\nhere\n%s", got, data)
	}
}
