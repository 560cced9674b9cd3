// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// TestMirror changes the mirror under one image: nothing is built again, what is built
// comes from the new mirror, and a build from nothing gives the same bits with nothing
// of the mirror in them.
func TestMirror(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	only := []string{"--only", cells[0]}
	first, r := f.build(t, only...)
	if r.code != 0 {
		t.Fatalf("matrix: exit %d\n%s", r.code, r.stderr)
	}
	m := startMirror(t, dates(t, f.state))

	again, r := f.build(t, append(only, "--debian-mirror", m.URL)...)
	if r.code != 0 || len(built(again)) > 0 || m.packages.Load() > 0 {
		t.Errorf("another mirror: exit %d, built again: %v, %d packages fetched", r.code, built(again), m.packages.Load())
	}
	extra, r := f.build(t, append(only, "--debian-mirror", m.URL, "--recipes", "testdata/extra")...)
	if r.code != 0 || len(built(extra)) != 1 || m.packages.Load() == 0 {
		t.Errorf("another package: exit %d, built: %v, %d packages from the mirror\n%s", r.code, built(extra), m.packages.Load(), r.stderr)
	}
	if extra.Inputs[0].Lists != first.Inputs[0].Lists {
		t.Error("another mirror: the package lists were read again")
	}

	fresh := f.anew("2")
	second, r := fresh.build(t, append(only, "--debian-mirror", m.URL)...)
	for tries := 3; r.code == 0 && tries > 0 && !maps.Equal(dates(t, f.state), dates(t, fresh.state)); tries-- {
		t.Log("the distribution's lists have moved since the first build, which is made again")
		f, fresh = fresh.anew("1"), fresh.anew("2")
		if first, r = f.build(t, only...); r.code == 0 {
			second, r = fresh.build(t, append(only, "--debian-mirror", m.URL)...)
		}
	}
	if r.code != 0 || !slices.Equal(first.Inputs, second.Inputs) || first.Cells[0].Digest != second.Cells[0].Digest {
		t.Errorf("exit %d, from the mirror: %+v %v, want %+v %v\n%s", r.code, second.Inputs, digests(second),
			first.Inputs, digests(first), r.stderr)
	}
	for _, blobs := range []string{fresh.state + "/bases/blobs/sha256", fresh.out + "/images/blobs/sha256"} {
		holdsNot(t, blobs, strings.TrimPrefix(m.URL, "http://"))
	}

	m.Close()
	gone, r := fresh.build(t, append(only, "--debian-mirror", m.URL, "--recipes", "testdata/extra")...)
	if r.code != 3 || gone.Totals.Cancelled != 1 || !strings.Contains(r.stderr, m.URL) {
		t.Errorf("a mirror that is gone: exit %d, %+v, want 3\n%s", r.code, gone.Totals, r.stderr)
	}
}

// anew is a place where nothing has been built yet.
func (f fixture) anew(name string) fixture {
	f.state, f.out = f.state+name, f.out+name
	return f
}

// dates are those of the package lists that a root was made from, by their address.
func dates(t *testing.T, state string) map[string]time.Time {
	t.Helper()
	var base struct {
		Dates map[string]time.Time `json:"dates"`
	}
	data, err := os.ReadFile(filepath.Join(state, "bases", "debian13-linux-amd64.json"))
	if err == nil {
		err = json.Unmarshal(data, &base)
	}
	if err != nil {
		t.Fatal(err)
	}
	return base.Dates
}

// mirror is a server on loopback that has what the distribution's own have.
type mirror struct {
	*httptest.Server

	packages atomic.Int64 // fetched from it
}

// servers are the distribution's own, or CUDABUILD_DEBIAN_MIRROR, by the name of the archive: those
// of the dates of what was made from them.
func servers(t *testing.T, dates map[string]time.Time) map[string]*url.URL {
	t.Helper()
	own := map[string]*url.URL{}
	for address := range dates {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		server, err := url.Parse(cmp.Or(os.Getenv("CUDABUILD_DEBIAN_MIRROR"), u.Scheme+"://"+u.Host))
		if err != nil {
			t.Fatal(err)
		}
		own[strings.Split(u.Path, "/")[1]] = server
	}
	return own
}

// startMirror serves what the servers of dates have.
func startMirror(t *testing.T, dates map[string]time.Time) *mirror {
	t.Helper()
	own := servers(t, dates)
	m := &mirror{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(own[strings.Split(r.In.URL.Path, "/")[1]])
	}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if own[strings.Split(r.URL.Path, "/")[1]] == nil {
			http.NotFound(w, r)
			return
		}
		if strings.Contains(r.URL.Path, "/pool/") {
			m.packages.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

// holdsNot looks for a text in every blob of a folder, unpacked.
func holdsNot(t *testing.T, dir, text string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("blobs in %s: %v, %v", dir, files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(data, []byte("\x28\xb5\x2f\xfd")) {
			r, err := zstd.NewReader(bytes.NewReader(data))
			if err == nil {
				data, err = io.ReadAll(r)
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			r.Close()
		}
		if bytes.Contains(data, []byte(text)) {
			t.Errorf("%s holds %q", file, text)
		}
	}
}
