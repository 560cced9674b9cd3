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

// suiteMirror is a mirror of one suite with main and contrib, whose state names the lists by their sums.
type suiteMirror struct {
	*httptest.Server

	state string            // InRelease, "" is none
	lists map[string]string // by component, packed
}

func newSuiteMirror(t *testing.T) *suiteMirror {
	t.Helper()
	m := &suiteMirror{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := m.lists[strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/debian/dists/trixie/"), "/binary-amd64/Packages.gz")]
		if r.URL.Path == "/debian/dists/trixie/InRelease" {
			text, ok = m.state, m.state != ""
		}
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(m.Close)
	return m
}

// has gives it these packages in main, and others in contrib.
func (m *suiteMirror) has(t *testing.T, date time.Time, main, contrib string) {
	t.Helper()
	m.lists, m.state = map[string]string{}, "Date: "+date.Format(time.RFC1123)+"\nSHA256:\n"
	for component, text := range map[string]string{"main": main, "contrib": contrib} {
		var packed bytes.Buffer
		zw := gzip.NewWriter(&packed)
		_, err := io.WriteString(zw, text)
		if err = errors.Join(err, zw.Close()); err != nil {
			t.Fatal(err)
		}
		m.lists[component] = packed.String()
		m.state += fmt.Sprintf(" %s %d %s/binary-amd64/Packages.gz\n", digest.FromBytes(packed.Bytes()).Encoded(), packed.Len(), component)
	}
}

const (
	suiteList    = "deb http://own.example/debian trixie main contrib\n"
	suiteAddress = "http://own.example/debian/dists/trixie/InRelease"
)

// TestCheckSources: a mirror that has the lists of the lock passes, of another it is said which
// packages it has not.
func TestCheckSources(t *testing.T) {
	t.Parallel()
	m := newSuiteMirror(t)
	was := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	m.has(t, was, entry("bash", "1", "a")+entry("libc6", "1", "a"), "")
	locked := &lock.Lock{
		Roots: []lock.Root{{System: thirteen}},
		Lists: []lock.List{{System: thirteen, Repository: suiteAddress, Date: was, SHA256: digest.FromString(m.state).Encoded()}},
	}
	for _, name := range []string{"bash", "libc6"} {
		locked.Packages = append(locked.Packages, lock.Package{System: thirteen, Name: name, Arch: "amd64", Version: "1", SHA256: strings.Repeat("a", 64)})
	}
	s := &Store{Mirror: m.URL, Lock: locked}
	check := func(own string) error {
		src, err := s.readSources(t.Context(), own)
		if err != nil {
			t.Fatal(err)
		}
		return s.checkSources(t.Context(), src, thirteen)
	}
	if err := check(suiteList); err != nil {
		t.Errorf("the same lists: %v", err)
	}
	const sorry = "name a mirror by date that has the state of 20261130T020000Z, such as "
	for name, test := range map[string]struct {
		after         time.Duration
		main, contrib string
		change        func()
		want          []string
		hint          string
	}{
		"moved on": {time.Hour, entry("bash", "1", "b") + entry("libc6", "2", "a"), "", nil, []string{
			"the package lists of debian13 linux/amd64 are of 2026-11-30T03:00:00Z, those of the lock of 2026-11-30T02:00:00Z: 2 of 2 locked packages cannot be had:\n" +
				"  bash:amd64 1 has moved (the same version is another file)\n  libc6:amd64 1 is gone (there is 2)",
		}, sorry},
		"all there":   {time.Hour, entry("bash", "1", "a") + entry("libc6", "1", "a") + entry("libc6", "2", "c"), "", nil, []string{"every locked package is still there"}, sorry},
		"two files":   {time.Hour, entry("bash", "1", "a") + entry("libc6", "1", "a"), entry("bash", "1", "b"), nil, []string{"every locked package is still there"}, sorry},
		"not there":   {time.Hour, "", "", func() { m.lists = nil }, []string{"which packages have moved is not known", "Packages.gz is not there"}, sorry},
		"not a list":  {time.Hour, "<html>", "", nil, []string{"which packages have moved is not known", "Packages.gz: line 1"}, sorry},
		"half a list": {time.Hour, entry("bash", "1", "a"), "", func() { m.lists["main"] = m.lists["main"][:30] }, []string{"which packages have moved is not known", "Packages.gz has 30 bytes, "}, sorry},
		"gone":        {time.Hour, entry("other", "1", "a"), "", nil, []string{"2 of 2", "bash:amd64 1 is gone\n"}, sorry},
		"older":       {-time.Hour, entry("other", "1", "a"), "", nil, []string{"are of 2026-11-30T01:00:00Z, those of the lock of 2026-11-30T02:00:00Z"}, "name it with a somewhat later time than 20261130T020000Z in place of {date}"},
	} {
		if m.has(t, was.Add(test.after), test.main, test.contrib); test.change != nil {
			test.change()
		}
		err := check(suiteList)
		if err == nil || hint.Code(err, 0) != 1 || !strings.Contains(hint.Of(err), test.hint) {
			t.Errorf("%s: %v, code %d, hint %q", name, err, hint.Code(err, 0), hint.Of(err))
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
	}
	locked.Lists[0].Repository = "http://own.example/debian/dists/sid/InRelease"
	err := check(suiteList)
	if want := "debian13 linux/amd64 has other repositories than in the lock:\n  " + suiteAddress + " is new\n  http://own.example/debian/dists/sid/InRelease is no longer used"; err == nil || err.Error() != want || hint.Code(err, 0) != 1 {
		t.Errorf("another suite: %v, want %q", err, want)
	}
	if err := check(""); err == nil || !strings.Contains(err.Error(), "sid/InRelease is no longer used") {
		t.Errorf("a repository that is not used any more: %v", err)
	}
}

// emptyStore is a store without a base, and the recipe of one.
func emptyStore(t *testing.T) (*Store, *recipes.Recipe) {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	r, _ := c.Recipe("debian13", "12.4")
	return s, r
}

// TestCheckKnown: what a root that is there lets cells install is looked for before they are built.
func TestCheckKnown(t *testing.T) {
	t.Parallel()
	s, r := emptyStore(t)
	m := newSuiteMirror(t)
	was := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	m.has(t, was, entry("bash", "1", "a"), "")
	then, err := s.Put(t.Context(), r, thirteen.Platform, was, archive(map[string]string{"etc/text": ""}), archive(map[string]string{
		"lists/own.example_debian_dists_trixie_InRelease": m.state, "sources.list": suiteList,
	}))
	if err != nil {
		t.Fatal(err)
	}
	root, lists, _, err := s.State(t.Context(), then)
	if err != nil {
		t.Fatal(err)
	}
	s.Mirror = m.URL
	s.Lock = &lock.Lock{Roots: []lock.Root{root}, Lists: lists, Packages: []lock.Package{{System: thirteen, Name: "bash", Arch: "amd64", Version: "1", SHA256: strings.Repeat("a", 64)}}}
	check := func(what, want string) {
		t.Helper()
		err := s.CheckLock(t.Context(), r, thirteen.Platform)
		if got := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	check("as it was", "")
	m.has(t, was.Add(time.Hour), entry("bash", "1", "a")+entry("tar", "1", "a"), "")
	check("other lists with all of it", "")
	m.has(t, was.Add(time.Hour), entry("bash", "2", "a"), "")
	check("moved on", "1 of 1 locked packages cannot be had:\n  bash:amd64 1 is gone (there is 2)")
	m.lists = nil
	check("no lists", "whether the repositories still have the locked packages of debian13 linux/amd64 is not known: ")
	if err := s.CheckLock(t.Context(), r, thirteen.Platform); hint.Code(err, 0) != 3 {
		t.Errorf("no lists: code %d, want that it could not be checked", hint.Code(err, 0))
	}
	m.state = ""
	check("no suite", "404")
	m.Close()
	check("no network", "")
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
	s, r := emptyStore(t)
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
	s.Lock.Roots[0].Digest = now.Root.String()
	if known, ok := s.Known(t.Context(), r, thirteen.Platform); ok {
		t.Errorf("the root of one with the lists of the other: %v, want none", known)
	}
	var tools *RootError
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
