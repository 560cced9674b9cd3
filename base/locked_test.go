// SPDX-License-Identifier: Apache-2.0

package base

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/recipes"
)

var thirteen = lock.System{OS: "debian13", Platform: "linux/amd64"}

// entry is one of a Packages file.
func entry(name, version, sum string) string {
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nFilename: pool/%s.deb\nSize: 1\nSHA256: %s\n\n", name, version, name, strings.Repeat(sum, 64))
}

// TestCheckSources: a mirror that has the lists of the lock passes, of another it is said which
// packages it has not.
func TestCheckSources(t *testing.T) {
	t.Parallel()
	const own = "deb http://own.example/debian trixie main contrib\n"
	const address = "http://own.example/debian/dists/trixie/InRelease"
	var packages string // what the mirror has, "" is nothing
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case packages == "":
			http.NotFound(w, r)
		case r.URL.Path == "/debian/dists/trixie/main/binary-amd64/Packages.gz":
			zw := gzip.NewWriter(w)
			_, _ = io.WriteString(zw, packages)
			_ = zw.Close()
		case r.URL.Path == "/debian/dists/trixie/contrib/binary-amd64/Packages.gz":
			_ = gzip.NewWriter(w).Close()
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(mirror.Close)
	was := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	locked := &lock.Lock{Lists: []lock.List{{System: thirteen, Repository: address, Date: was, SHA256: digest.FromString("then").Encoded()}}}
	for _, name := range []string{"bash", "libc6"} {
		locked.Packages = append(locked.Packages, lock.Package{System: thirteen, Name: name, Arch: "amd64", Version: "1", SHA256: strings.Repeat("a", 64)})
	}
	s := &Store{Mirror: mirror.URL, Lock: locked}
	sources := func(state string) sources {
		return sources{own: own, used: s.mirror().mirrored(own), dates: map[string]time.Time{address: was.Add(time.Hour)}, sums: map[string]digest.Digest{address: digest.FromString(state)}}
	}
	if err := s.checkSources(t.Context(), sources("then"), thirteen); err != nil {
		t.Errorf("the same lists: %v", err)
	}
	for name, test := range map[string]struct {
		packages string
		want     []string
	}{
		"moved on": {entry("bash", "1", "b") + entry("libc6", "2", "a"), []string{
			"the package lists of debian13 linux/amd64 are of 2026-11-30T03:00:00Z, those of the lock of 2026-11-30T02:00:00Z: 2 of 2 locked packages cannot be had:\n" +
				"  bash:amd64 1 has moved (the same version is another file)\n  libc6:amd64 1 is gone (there is 2)",
		}},
		"all there":   {entry("bash", "1", "a") + entry("libc6", "1", "a") + entry("libc6", "2", "c"), []string{"every locked package is still there"}},
		"not known":   {"", []string{"which packages have moved is not known", "404 Not Found"}},
		"not a list":  {"<html>", []string{"which packages have moved is not known", "Packages.gz: line 1"}},
		"many, short": {entry("other", "1", "a"), []string{"2 of 2", "bash:amd64 1 is gone\n"}},
	} {
		packages = test.packages
		err := s.checkSources(t.Context(), sources("now"), thirteen)
		if err == nil || hint.Code(err, 0) != 1 || !strings.Contains(hint.Of(err), "20261130T020000Z") {
			t.Errorf("%s: %v, code %d, hint %q", name, err, hint.Code(err, 0), hint.Of(err))
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
	}
	none := sources("then")
	none.dates, none.sums = map[string]time.Time{}, nil
	if err := s.checkSources(t.Context(), none, thirteen); err == nil {
		t.Error("a repository that is not used any more: no error")
	}
}

// TestNamed: twenty packages, and how many more.
func TestNamed(t *testing.T) {
	t.Parallel()
	text := Named(make([]lock.Loss, 23))
	if strings.Count(text, "\n") != 21 || !strings.HasSuffix(text, "\n  and 3 more") {
		t.Errorf("Named of 23: %q", text)
	}
}

// TestKnownIsLocked: the lock's root, which is not the newest any more, or none.
func TestKnownIsLocked(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	r, _ := c.Recipe("debian13", "12.4")
	put := func(text string, date time.Time) Base {
		t.Helper()
		files := map[string]string{
			"lists/own.example_debian_dists_trixie_InRelease":                  "Date: Mon, 30 Nov 2026 02:14:33 UTC\n" + text,
			"lists/own.example_debian_dists_trixie_main_binary-amd64_Packages": entry("bash", text, "a"),
			"sources.list": "deb http://own.example/debian trixie main\n",
		}
		b, err := s.Put(t.Context(), r, thirteen.Platform, date, archive(map[string]string{"etc/text": text}), archive(files))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	then := put("1", time.Unix(1767225600, 0))
	now := put("2", time.Unix(1767225601, 0))
	root, lists, packages, err := s.State(t.Context(), then)
	if err != nil {
		t.Fatal(err)
	}
	want := []lock.List{{System: thirteen, Repository: "http://own.example/debian/dists/trixie/InRelease", Date: time.Date(2026, 11, 30, 2, 14, 33, 0, time.UTC), SHA256: digest.FromString("Date: Mon, 30 Nov 2026 02:14:33 UTC\n1").Encoded()}}
	if diff := cmp.Diff(want, lists); diff != "" {
		t.Errorf("lists (-want +got):\n%s", diff)
	}
	if got := packages.Sum(lock.Package{Name: "bash", Arch: "amd64", Version: "1"}); got != strings.Repeat("a", 64) {
		t.Errorf("sum of bash %q", got)
	}
	if known, ok := s.Known(t.Context(), r, thirteen.Platform); !ok || known.Root != now.Root {
		t.Errorf("without a lock: %v, %v, want the newest", known.Root, ok)
	}
	s.Lock = &lock.Lock{Roots: []lock.Root{root}, Lists: lists}
	known, err := s.Base(t.Context(), r, thirteen.Platform)
	if err != nil || known.Root != then.Root || known.Lists != then.Lists {
		t.Errorf("locked: %v, %v, want %v", known, err, then)
	}
	if err := s.CheckLock(t.Context(), r, thirteen.Platform); err != nil {
		t.Errorf("CheckLock: %v, want nothing to ask for", err)
	}
	s.Lock.Roots[0].Digest = now.Root.String()
	if known, ok := s.Known(t.Context(), r, thirteen.Platform); ok {
		t.Errorf("the root of one with the lists of the other: %v, want none", known)
	}
	var tools *ToolsError
	then.Tools = map[string]string{"apt": "2"}
	s.Lock.Roots[0].Tools = map[string]string{"apt": "3", "dpkg": "1"}
	if err := s.checkMade(then); !errors.As(err, &tools) || hint.Code(err, 0) != 1 || !strings.Contains(err.Error(), ": made by apt 2, locked with 3; dpkg of no known version, locked with 1") {
		t.Errorf("another root: %v", err)
	}
}

func archive(files map[string]string) func(io.Writer) error {
	return func(w io.Writer) error {
		tw := tar.NewWriter(w)
		for _, name := range []string{"etc/text", "lists/own.example_debian_dists_trixie_InRelease", "lists/own.example_debian_dists_trixie_main_binary-amd64_Packages", "sources.list"} {
			if text, ok := files[name]; ok {
				_ = tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))})
				_, _ = io.Copy(tw, bytes.NewBufferString(text))
			}
		}
		return tw.Close()
	}
}
