// SPDX-License-Identifier: Apache-2.0

package base_test

import (
	"archive/tar"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/base"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/recipes"
)

func debian13(t testing.TB) *recipes.Recipe {
	t.Helper()
	c, err := recipes.Load()
	if err != nil {
		t.Fatal(err)
	}
	r, ok := c.Recipe("debian13", "12.4")
	if !ok {
		t.Fatal("no recipe for debian13")
	}
	return r
}

func open(t testing.TB, dir, mirror string) *base.Store {
	t.Helper()
	s, err := base.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Mirror = mirror
	return s
}

func TestCheckMirror(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"", "http://mirror.example", "https://mirror.example", "http://mirror.example/", "http://10.0.0.1:3142", "http://a", "http://mirror.example/debian",
		"http://user:word@mirror.example", "https://user:w%40rd@mirror.example/api/my_debian/", "http://a/{archive}", "http://a/x/{archive}/20240101T000000Z",
	} {
		if err := base.CheckMirror(good); err != nil {
			t.Errorf("CheckMirror(%q) = %v, want nil", good, err)
		}
	}
	bad := []string{
		"mirror.example", "mirror.example:80", "http://", "http:///debian", "://x", " http://a", "http://a b", "ftp://mirror.example",
		"file:///srv", "http://user:word@", "ftp://user:word@mirror.example", "http://user:wo/rd@mirror.example", "http://:word@mirror.example",
		"user:word@mirror.example/debian", "http://user:word@mirror.example/a b", "http://user:wo%20rd@mirror.example", "http://user:%word@mirror.example",
		"http://a/{archive}/{archive}", "http://a/{x}", "http://a/%41", "http://a/@b", "http://a?b", "http://a#b", "http://a:port",
		"http://a_b", "http://a\n", "http://a\";", "http://a'$(b)",
	}
	for _, address := range bad {
		if err := base.CheckMirror(address); err == nil {
			t.Errorf("CheckMirror(%q) = nil, want an error", address)
		} else if strings.Contains(err.Error(), "word@m") || strings.Contains(err.Error(), "rd@m") || strings.Contains(err.Error(), "wo/rd") {
			t.Errorf("CheckMirror(%q) = %v shows the password", address, err)
		}
	}
}

// TestMirrorIsNoInput: it is where packages come from, not what they are.
func TestMirrorIsNoInput(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), debian13(t)
	empty := func(w io.Writer) error { return tar.NewWriter(w).Close() }
	made, err := open(t, dir, "http://one.example").Put(t.Context(), o, "linux/amd64", time.Unix(1767225600, 0), empty, empty)
	if err != nil {
		t.Fatal(err)
	}
	for _, mirror := range []string{"http://one.example", "http://two.example:8080", ""} {
		if known, ok := open(t, dir, mirror).Known(t.Context(), o, "linux/amd64"); !ok || known.Root != made.Root || known.Lists != made.Lists {
			t.Errorf("Known with mirror %q = %+v, %v, want %+v", mirror, known, ok, made)
		}
	}
}

func TestAptConfig(t *testing.T) {
	t.Parallel()
	for mirror, want := range map[string]string{
		"":                       "",
		"http://mirror.example":  "Cudabuild::Mirror \"http://mirror.example\";\n",
		"http://mirror.example/": "Cudabuild::Mirror \"http://mirror.example\";\n",
		"http://mirror.example/archive/debian/20260101T000000Z": "Cudabuild::Mirror \"http://mirror.example/archive/@/20260101T000000Z\";\nCudabuild::ByDate \"true\";\n",
	} {
		if got := string((&base.Store{Mirror: mirror}).AptConfig()); got != want {
			t.Errorf("AptConfig with mirror %q = %q, want %q", mirror, got, want)
		}
	}
}

// TestUnreachable: a mirror that does not answer is told from a root that cannot be made.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), "http://127.0.0.1:9")
	_, err := s.Base(t.Context(), debian13(t), "linux/amd64")
	if errors.Is(err, base.ErrUnavailable) {
		require.Missing(t, "bootstrap", err)
	}
	if !errors.Is(err, base.ErrUnreachable) {
		t.Errorf("Base = %v, want ErrUnreachable", err)
	}
	b := base.Base{Dates: map[string]time.Time{"http://own.example/debian/dists/x/InRelease": {}}}
	if err := s.Reachable(t.Context(), b); !errors.Is(err, base.ErrUnreachable) {
		t.Errorf("Reachable = %v, want ErrUnreachable", err)
	}
	s.Mirror = ""
	if err := s.Reachable(t.Context(), b); err != nil {
		t.Errorf("Reachable without a mirror = %v, want nil", err)
	}
}
