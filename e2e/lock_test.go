// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/therootcompany/xz"

	"github.com/cudabuild/cudabuild/internal/standin/repo"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/record"
)

const lockMatrix = `version: 1
image: cuda
groups:
  default: [{os: [debian13], cuda: ["12.4"], flavors: [base]}]
`

// TestLock builds, locks, and then the mirror moves on: without its past the packages that are gone are
// named before anything is made; from the mirror by date an empty state directory gives the same digests.
func TestLock(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.matrix = filepath.Join(filepath.Dir(f.out), "matrix.yaml")
	write(t, f.matrix, lockMatrix)
	plain := f.anew("0") // it says where the distribution's own servers are
	if _, r := plain.build(t); r.code != 0 {
		t.Fatalf("matrix: exit %d\n%s", r.code, r.stderr)
	}
	m := startArchive(t, servers(t, dates(t, plain.state)))
	first, r := f.build(t, "--debian-mirror", m.URL)
	if r.code != 0 {
		t.Fatalf("matrix: exit %d\n%s", r.code, r.stderr)
	}
	update := []string{"lock", "update", "-f", f.matrix, "--state-dir", f.state, "--out", f.out}
	if r := run(t, f.program, update...); r.code != 0 {
		t.Fatalf("lock update: exit %d\n%s", r.code, r.stderr)
	}
	if r := run(t, f.program, update...); r.code != 0 || !strings.HasSuffix(r.stdout, " 0 changes\n") {
		t.Errorf("lock update once more: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	l, err := lock.Read(filepath.Join(filepath.Dir(f.out), "matrix.lock"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.Packages {
		if p.SHA256 == "" && !strings.HasPrefix(p.Name, "cudabuild-guard") {
			t.Errorf("%s %s has no sum", p.Name, p.Version)
		}
	}

	was, is := m.moveOn(t, "bash")
	fresh := f.anew("2")
	gone, r := fresh.build(t, "--locked", "--debian-mirror", m.URL)
	if r.code != 1 || gone.Totals.Cancelled != 1 || len(gone.Inputs) > 0 {
		t.Errorf("a mirror that has moved on: exit %d, %+v %+v, want 1 and nothing made", r.code, gone.Totals, gone.Inputs)
	}
	mustContain(t, "stderr", r.stderr, "\n  bash:amd64 "+was+" is gone (there is "+is+")\n", "1 of ", "hint: name a mirror by date", l.Date(l.Roots[0].System).Format(lock.DateFormat))

	before := m.requests(false)
	again, r := fresh.build(t, "--locked", "--debian-mirror", m.URL+"/archive/{archive}/{date}")
	if diff := gocmp.Diff(digests(first), digests(again)); diff != "" || r.code != 0 {
		t.Errorf("from the mirror by date: exit %d, digests (-first +again):\n%s%s", r.code, diff, r.stderr)
	}
	if !slices.Equal(first.Inputs, again.Inputs) || m.requests(true) == 0 || m.requests(false) != before {
		t.Errorf("inputs %+v, want %+v; %d files by date, %d others, want none", again.Inputs, first.Inputs, m.requests(true), m.requests(false)-before)
	}
	part := record.Part{Kind: record.LockPart, Digest: l.Digest()}
	if again.Lock != l.Digest() || len(again.Cells) != 1 || !slices.Contains(again.Cells[0].Made[0].Parts, part) {
		t.Errorf("the record says of the lock %q, want %q", again.Lock, l.Digest())
	}
	m.Close()
	if warm, r := fresh.build(t, "--locked"); r.code != 0 || len(built(warm)) > 0 {
		t.Errorf("without a network: exit %d, built %v\n%s", r.code, built(warm), r.stderr)
	}
}

// archive is a mirror on loopback that keeps what it has once served: below /archive/NAME/DATE it
// has that and nothing else, and for no other date than from when it has taken it in until it moved on. Its stand-ins for what comes later are signed by a key of the test's.
type archive struct {
	*httptest.Server

	own map[string]*url.URL // the distribution's servers

	mu     sync.Mutex
	kept   map[string][]byte // by archive and path, "debian/dists/trixie/InRelease"
	later  map[string][]byte // what has taken the place of such a file; nil is none
	since  time.Time         // of what is kept, in whole seconds: when the last InRelease came
	until  time.Time         // when there was something later
	byDate int               // files served by date
	other  int               // others
}

var pastPath = regexp.MustCompile(`^/archive/([a-z-]+)/([0-9]{8}T[0-9]{6}Z)/(.*)`)

func startArchive(t *testing.T, own map[string]*url.URL) *archive {
	t.Helper()
	a := &archive{own: own, kept: map[string][]byte{}, later: map[string][]byte{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := a.file(r)
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadGateway)
		case data == nil:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(data)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// requests are how many files were served, by date or not.
func (a *archive) requests(byDate bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if byDate {
		return a.byDate
	}
	return a.other
}

func (a *archive) file(r *http.Request) ([]byte, error) {
	a.mu.Lock()
	name := strings.TrimPrefix(r.URL.Path, "/")
	past := pastPath.FindStringSubmatch(r.URL.Path)
	if past != nil {
		name = past[1] + "/" + past[3]
		if at, err := time.Parse(lock.DateFormat, past[2]); err != nil || at.Before(a.since) || at.After(a.until) {
			name = ""
		}
		a.byDate++
	} else {
		a.other++
	}
	later, changed := a.later[name]
	kept, ok := a.kept[name]
	a.mu.Unlock()
	switch {
	case past == nil && changed:
		return later, nil
	case ok || past != nil:
		return kept, nil
	}
	return a.fetch(r.Context(), name)
}

// fetch takes a file from the distribution and keeps it.
func (a *archive) fetch(ctx context.Context, name string) ([]byte, error) {
	from, _, _ := strings.Cut(name, "/")
	own := a.own[from]
	if own == nil {
		return nil, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, own.JoinPath(name).String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusNotFound {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept[name] == nil {
		a.kept[name] = data
		if strings.HasSuffix(name, "/InRelease") {
			a.since = time.Now().Truncate(time.Second)
		}
	}
	return a.kept[name], nil
}

// moveOn puts a newer version of a package into main, in place of the old one, indexes and signs that, and returns
// both versions.
func (a *archive) moveOn(t *testing.T, name string) (was, is string) {
	t.Helper()
	const suite, list = "debian/dists/trixie/", "main/binary-amd64/Packages"
	data, err := a.fetch(t.Context(), suite+list+".xz")
	if err != nil {
		t.Fatal(err)
	}
	zr, err := xz.NewReader(bytes.NewReader(data), xz.DefaultDictMax)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(zr); err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?s)\nPackage: ` + name + `\n.*?\n\n`).Find(data)
	version := regexp.MustCompile(`\nVersion: (.*)\n`).FindSubmatch(entry)
	file := regexp.MustCompile(`\nFilename: (.*)\n`).FindSubmatch(entry)
	if version == nil || file == nil {
		t.Fatalf("no version of %s in %q", name, entry)
	}
	was, is = string(version[1]), string(version[1])+"+moved1"
	data = bytes.Replace(data, entry, bytes.ReplaceAll(entry, []byte(was), []byte(is)), 1)
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	if _, err := zw.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(list)), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, list+".gz"), packed.String())
	for _, component := range []string{"contrib", "non-free", "non-free-firmware"} {
		list := component + "/binary-amd64/Packages.xz"
		data, err := a.fetch(t.Context(), suite+list)
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(list)), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, list), string(data))
	}
	repo.Release(t, repo.NewKey(t, false), dir)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until = time.Now()
	a.later[suite+"InRelease"] = []byte(read(t, filepath.Join(dir, "InRelease")))
	a.later[suite+list+".gz"], a.later[suite+list+".xz"] = packed.Bytes(), nil
	a.later["debian/"+string(file[1])] = nil
	return was, is
}
