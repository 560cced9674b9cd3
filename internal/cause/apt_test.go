// SPDX-License-Identifier: Apache-2.0

package cause_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cudabuild/cudabuild/internal/cause"
	"github.com/cudabuild/cudabuild/internal/require"
)

// standIn is a repository on loopback that misbehaves on demand, and an apt that knows it.
type standIn struct {
	*httptest.Server

	answer atomic.Pointer[http.HandlerFunc] // to what ends in .deb; nil for the file
	lists  atomic.Pointer[http.HandlerFunc] // to what does not
	config string
}

// TestApt asks a real apt, in English as the steps do, what it says of each cause.
func TestApt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"apt-get", "apt-ftparchive", "dpkg-deb"} {
		if _, err := exec.LookPath(name); err != nil {
			require.Missing(t, "apt", err)
		}
	}
	s := newStandIn(t)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
	}
	const file = "/pool/hello_2.10-3_all.deb"
	for _, test := range []struct {
		name, packages string
		answer         http.HandlerFunc
		outage         bool
		text           string // parts, split by |
		hint           string
	}{
		{"gone", "hello", status(404), false, "package hello 2.10-3|not this version any more|404 Not Found|" + file, "--refresh"},
		{"removed", "hello", status(410), false, "package hello 2.10-3|not this version any more", "--refresh"},
		{"busy", "hello", status(503), true, "package hello 2.10-3|cannot answer|503|" + file, "later"},
		{"gateway", "hello", status(502), true, "package hello 2.10-3|cannot answer|502", "later"},
		{"too many", "hello", status(429), true, "package hello 2.10-3|cannot answer|429", "later"},
		{"login", "hello", status(401), true, "package hello 2.10-3|login|401", "auth.conf"},
		{"forbidden", "hello", status(403), true, "package hello 2.10-3|login|403", "auth.conf"},
		{"other bytes", "hello", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(s.size(t, r)))
			_, _ = w.Write([]byte(strings.Repeat("x", s.size(t, r))))
		}, false, "package hello 2.10-3|not what its package lists promise|Hash Sum mismatch", "--refresh"},
		{"other size", "hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("xx")) }, false, "package hello 2.10-3|not what its package lists promise", "--refresh"},
		{"cut", "hello", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true, "package hello 2.10-3|broke off", "network"},
		{"two of three", "other hello", func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "hello") {
				status(404)(w, r)
			} else {
				http.ServeFile(w, r, s.path(r))
			}
		}, false, "package hello 2.10-3|404", "--refresh"},
		{"typo", "helo", nil, false, "package helo|no such package", "recipe"},
		{"version", "hello=9.9", nil, false, "package hello|not that version|9.9", "recipe"},
		{"unmet", "needy", nil, false, "package needy|cannot be installed|absent (>= 2)", "recipe"},
	} {
		s.answer.Store(nil)
		if test.answer != nil {
			s.answer.Store(&test.answer)
		}
		s.check(t, test.name, test.text, test.hint, test.outage, "install", "--yes", "--download-only", test.packages)
	}
	s.answer.Store(nil)
	s.sources(t, "deb "+s.URL+" ./")
	s.check(t, "unsigned", "not signed by a key", "keyring", false, "update")
	for code, test := range map[int]struct {
		text, hint string
		outage     bool
	}{
		401: {"wants another login|401|InRelease", "auth.conf", true},
		403: {"wants another login|403|InRelease", "auth.conf", true},
		407: {"proxy wants another login|407", "http_proxy", true},
		503: {"cannot answer just now|503", "try again", true},
		404: {"no such file", "moved", false},
	} {
		answer := status(code)
		s.lists.Store(&answer)
		for _, suites := range [][]string{{"./"}, {"trixie main", "trixie-updates main", "trixie-security main"}} { // of several, apt may first say that one is not signed
			from := "deb " + s.URL + " "
			s.sources(t, from+strings.Join(suites, "\n"+from))
			s.check(t, fmt.Sprintf("%d for %s", code, suites), test.text, test.hint, test.outage, "--error-on=any", "update")
		}
	}
	s.lists.Store(nil)
	s.sources(t, "deb [trusted=yes] "+s.URL+"/elsewhere ./")
	s.check(t, "another path", "no such file|/elsewhere/", "moved", false, "update")
	s.sources(t, "deb [trusted=yes] http://mirror.invalid ./")
	s.check(t, "no name", "name is not known|mirror.invalid", "network", true, "update")
	s.Close()
	s.sources(t, "deb [trusted=yes] "+s.URL+" ./")
	s.check(t, "gone away", "nothing answers", "network", true, "update")
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	s.sources(t, "deb [trusted=yes] "+secure.URL+" ./")
	s.check(t, "unknown authority", "certificate is not trusted", "certificate", true, "update")
}

func (s *standIn) check(t *testing.T, name, text, hint string, outage bool, args ...string) {
	t.Helper()
	out := s.apt(t, args...)
	got := cause.Find(out)
	if got == nil || got.Outage() != outage || !strings.Contains(got.Hint(), hint) {
		t.Errorf("%s: Find = %v, want outage %v and a hint with %q in\n%s", name, got, outage, hint, out)
		return
	}
	for part := range strings.SplitSeq(text, "|") {
		if !strings.Contains(got.Error(), part) {
			t.Errorf("%s: Find = %q, want %q in it, of\n%s", name, got, part, out)
		}
	}
}

// apt runs apt-get as nobody else's: with a state and a cache of its own.
func (s *standIn) apt(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "apt-get", strings.Fields(strings.Join(args, " "))...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "APT_CONFIG="+s.config)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

func (s *standIn) path(r *http.Request) string {
	return filepath.Join(filepath.Dir(s.config), "repository", r.URL.Path)
}

func (s *standIn) size(t *testing.T, r *http.Request) int {
	info, err := os.Stat(s.path(r))
	if err != nil {
		t.Error(err)
		return 0
	}
	return int(info.Size())
}

func (s *standIn) sources(t *testing.T, line string) {
	t.Helper()
	write(t, filepath.Join(filepath.Dir(s.config), "sources.list"), line+"\n")
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	dir := t.TempDir()
	for _, p := range []string{"hello 2.10-3", "other 1", "needy 1\nDepends: absent (>= 2)"} {
		nameAndVersion, more, _ := strings.Cut(p, "\n")
		name, version, _ := strings.Cut(nameAndVersion, " ")
		control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: stand-in\n%s", name, version, more)
		write(t, filepath.Join(dir, name, "DEBIAN", "control"), strings.TrimSpace(control)+"\nDescription: stand-in\n")
		tool(t, dir, "dpkg-deb", "--build", name, filepath.Join("repository", "pool", name+"_"+version+"_all.deb"))
	}
	repository := filepath.Join(dir, "repository")
	write(t, filepath.Join(repository, "Packages"), tool(t, repository, "apt-ftparchive", "packages", "."))
	write(t, filepath.Join(repository, "Release"), tool(t, repository, "apt-ftparchive", "release", "."))
	s := &standIn{config: filepath.Join(dir, "apt.conf")}
	files := http.FileServer(http.Dir(repository))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		about := &s.lists
		if strings.HasSuffix(r.URL.Path, ".deb") {
			about = &s.answer
		}
		if answer := about.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	write(t, s.config, strings.ReplaceAll(`Dir::State "DIR/state"; Dir::State::status "/dev/null"; Dir::Cache "DIR/cache";
Dir::Etc::SourceParts "/dev/null"; Dir::Etc::SourceList "DIR/sources.list"; Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null";
APT::Sandbox::User "root"; APT::Architecture "amd64"; Acquire::Retries "0"; Debug::NoLocking "true"; Acquire::ForceHash "SHA256";
`, "DIR", dir))
	for _, folder := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.sources(t, "deb [trusted=yes] "+s.URL+" ./")
	s.apt(t, "update")
	return s
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func tool(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "repository", "pool"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}
