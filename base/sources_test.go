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
	for _, mirror := range []string{"http://10.0.0.1:3142", "http://10.0.0.1:3142/", "http://10.0.0.1:3142/debian", "http://10.0.0.1:3142/{archive}/"} {
		if diff := cmp.Diff(want, mirrorOf(t, mirror).mirrored(ownList)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mirror, diff)
		}
	}
	if got := (mirror{}).mirrored(ownList); got != ownList {
		t.Errorf("without a mirror: %q", got)
	}
}

// TestIndexIsTheSame whichever mirror the lists came from.
func TestIndexIsTheSame(t *testing.T) {
	t.Parallel()
	lists := []string{
		"%[1]s_dists_trixie_InRelease", "%[1]s_dists_trixie_main_binary-amd64_Packages",
		"%[1]s_dists_trixie-updates_InRelease", "%[2]s_dists_trixie-security_InRelease",
	}
	index := func(mirror, debian, security string) []byte {
		dir := t.TempDir()
		files := map[string]string{"sources.list": ownList, "lists/lock": "", "lists/partial/x": ""}
		for _, name := range lists {
			files["lists/"+strings.NewReplacer("%[1]s", debian, "%[2]s", security).Replace(name)] = name
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
		src := sources{own: ownList, used: mirrorOf(t, mirror).mirrored(ownList)}
		left, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer left.Close()
		if err := src.unmirror(left); err != nil {
			t.Fatal(err)
		}
		var archive bytes.Buffer
		if err := writeIndex(&archive, left, time.Unix(1767225600, 0)); err != nil {
			t.Fatal(err)
		}
		return archive.Bytes()
	}
	own := index("", "own.example_debian", "security.example_debian-security")
	if !bytes.Contains(own, []byte("lists/own.example_debian_dists_trixie_InRelease")) {
		t.Fatal("the index has no lists")
	}
	for mirror, names := range map[string][2]string{
		"http://mirror.example":                                 {"mirror.example_debian", "mirror.example_debian-security"},
		"http://10.0.0.1:3142":                                  {"10.0.0.1:3142_debian", "10.0.0.1:3142_debian-security"},
		"https://u:w@mirror.example/api/debian/":                {"mirror.example_api_debian", "mirror.example_api_debian-security"},
		"http://mirror.example/archive/debian/20240101T000000Z": {"mirror.example_archive_debian_20240101T000000Z", "mirror.example_archive_debian-security_20240101T000000Z"},
		"http://mirror.example/my_apt/{archive}-remote":         {"mirror.example_my%5fapt_debian-remote", "mirror.example_my%5fapt_debian-security-remote"},
	} {
		got := index(mirror, names[0], names[1])
		if !bytes.Equal(own, got) {
			t.Errorf("the index from mirror %s differs from the distribution's own", mirror)
		}
		if bytes.Contains(got, []byte("mirror.example")) {
			t.Errorf("the index names the mirror %s", mirror)
		}
	}
}

func mirrorOf(t *testing.T, address string) mirror {
	t.Helper()
	m, err := parseMirror(address)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMirrorForms: what an address of a mirror means for each archive.
func TestMirrorForms(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][2]string{
		"http://m.example":                                  {"http://m.example/debian", "http://m.example/debian-security"},
		"http://m.example/debian":                           {"http://m.example/debian", "http://m.example/debian-security"},
		"https://u:w@m.example:8443/api/debian/":            {"https://m.example:8443/api/debian", "https://m.example:8443/api/debian-security"},
		"https://m.example/artifactory/debian-remote":       {"https://m.example/artifactory/debian-remote", "https://m.example/artifactory/debian-security-remote"},
		"http://m.example/archive/debian/20240101T000000Z/": {"http://m.example/archive/debian/20240101T000000Z", "http://m.example/archive/debian-security/20240101T000000Z"},
		"http://m.example:3142/other.example":               {"http://m.example:3142/other.example/debian", "http://m.example:3142/other.example/debian-security"},
		"http://m.example/other.example/debian":             {"http://m.example/other.example/debian", "http://m.example/other.example/debian-security"},
		"http://m.example/a/{archive}/b":                    {"http://m.example/a/debian/b", "http://m.example/a/debian-security/b"},
	} {
		m := mirrorOf(t, address)
		for i, own := range []string{"http://own.example/debian", "http://security.example/debian-security"} {
			if got := m.inRelease(own + "/dists/x/InRelease"); got != want[i]+"/dists/x/InRelease" {
				t.Errorf("%s: %s is %s, want %s", address, own, got, want[i])
			}
			list := "deb " + want[i] + " trixie main\n"
			if byDate.MatchString(address) {
				list = "deb [check-valid-until=no] " + want[i] + " trixie main\n"
			}
			if got := m.mirrored("deb " + own + " trixie main\n"); got != list {
				t.Errorf("%s: %q, want %q", address, got, list)
			}
		}
	}
}

// TestLogins: as apt does, the scheme counts, and https where none stands.
func TestLogins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "auth.conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"auth.conf":                 "# machine m.example login no password no\nmachine m.example\n  login one password secret\nmachine http://plain.example/debian login two password secret\n",
		"auth.conf.d/a.conf":        "machine m.example:8443/api/ login three password secret\n",
		"auth.conf.d/b.conf.backup": "machine backup.example login four password secret\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	logins := ReadLogins(dir)
	for address, want := range map[string]string{
		"https://m.example/":            "one",
		"http://m.example/":             "",
		"http://plain.example/debian":   "two",
		"http://plain.example/other":    "",
		"https://m.example:8443/api/x/": "one",
		"https://backup.example/":       "",
		"https://am.example/":           "",
	} {
		got := ""
		if login := logins.find(address); login != nil {
			got = login.Username()
		}
		if got != want {
			t.Errorf("login for %s = %q, want %q", address, got, want)
		}
	}
	s := &Store{Mirror: "https://m.example/api/debian", Logins: logins}
	if got := string(s.AptConfig()); got != "Cudabuild::Mirror \"https://m.example/api\";\nCudabuild::Login \"machine https://m.example/ login one password secret\";\n" {
		t.Errorf("AptConfig = %q", got)
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
