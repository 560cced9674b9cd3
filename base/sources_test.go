// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ownList = `deb http://own.example/debian trixie main contrib
deb http://own.example/debian trixie-updates main contrib
deb http://security.example/debian-security trixie-security main contrib
`

func TestMirrored(t *testing.T) {
	t.Parallel()
	want := `deb http://10.0.0.1:3142/debian trixie main contrib
deb http://10.0.0.1:3142/debian trixie-updates main contrib
deb http://10.0.0.1:3142/debian-security trixie-security main contrib
`
	for _, mirror := range []string{"http://10.0.0.1:3142", "http://10.0.0.1:3142/"} {
		if diff := cmp.Diff(want, mirrored(ownList, mirror)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mirror, diff)
		}
	}
	if got := mirrored(ownList, ""); got != ownList {
		t.Errorf("without a mirror: %q", got)
	}
}

// TestIndexIsTheSame whichever mirror the lists came from.
func TestIndexIsTheSame(t *testing.T) {
	t.Parallel()
	lists := []string{
		"%[1]s_debian_dists_trixie_InRelease", "%[1]s_debian_dists_trixie_main_binary-amd64_Packages",
		"%[1]s_debian_dists_trixie-updates_InRelease", "%[2]s_debian-security_dists_trixie-security_InRelease",
	}
	index := func(mirror, host1, host2 string) []byte {
		dir := t.TempDir()
		files := map[string]string{"sources.list": ownList, "lists/lock": "", "lists/partial/x": ""}
		for _, name := range lists {
			files["lists/"+strings.NewReplacer("%[1]s", host1, "%[2]s", host2).Replace(name)] = name
		}
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		src := sources{own: ownList, used: mirrored(ownList, mirror)}
		if err := src.unmirror(filepath.Join(dir, "lists")); err != nil {
			t.Fatal(err)
		}
		var archive bytes.Buffer
		if err := writeIndex(&archive, dir, time.Unix(1767225600, 0)); err != nil {
			t.Fatal(err)
		}
		return archive.Bytes()
	}
	own := index("", "own.example", "security.example")
	if !bytes.Contains(own, []byte("lists/own.example_debian_dists_trixie_InRelease")) {
		t.Fatal("the index has no lists")
	}
	for _, host := range []string{"mirror.example", "10.0.0.1:3142"} {
		got := index("http://"+host, host, host)
		if !bytes.Equal(own, got) {
			t.Errorf("the index from mirror %s differs from the distribution's own", host)
		}
		if bytes.Contains(got, []byte(host)) {
			t.Errorf("the index names the mirror %s", host)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	f.Add("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nDate: Sat, 15 Nov 2025 10:00:00 UTC\n")
	f.Add("Date: yesterday\n")
	f.Fuzz(func(t *testing.T, text string) {
		date, err := parseDate(strings.NewReader(text), "http://own.example")
		if err == nil && !strings.Contains("\n"+text, "\nDate: ") {
			t.Errorf("parseDate(%q) = %v without a date in it", text, date)
		}
		if err != nil && !date.IsZero() {
			t.Errorf("parseDate(%q) = %v and %v", text, date, err)
		}
	})
}

func FuzzRepomdDate(f *testing.F) {
	f.Add([]byte(`<repomd><revision>1763200800</revision><data><timestamp>1763200801.5</timestamp></data></repomd>`))
	f.Add([]byte(`<repomd><revision>8.1</revision></repomd>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		date, err := repomdDate(text, "http://own.example")
		if (err == nil) == date.IsZero() || err == nil && date.Unix() <= 0 {
			t.Errorf("repomdDate(%q) = %v, %v, want a date after 1970 or an error", text, date, err)
		}
	})
}
