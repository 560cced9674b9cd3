// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/pkgindex"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/internal/standin/index"
	"github.com/cudabuild/cudabuild/internal/standin/repo"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/upstream"
)

var packages = []pkgindex.Package{
	{Name: "cuda-cudart-13-4", Version: "13.4.51-1", Arch: "x86_64", SHA256: strings.Repeat("a", 64), Size: 7, File: "a"},
	{Name: "libnccl", Version: "2.31.1-1+cuda13.4", Arch: "x86_64", SHA256: strings.Repeat("b", 64), Size: 8, File: "b"},
}

// now is when the stand-ins are read.
var now = index.Date.AddDate(0, 0, 1)

// get reads files of this machine by their paths.
func get(_ context.Context, address string) ([]byte, error) { return os.ReadFile(address) }

// pin is how recipes pin a stand-in's key.
func pin(k *index.Key) recipes.Key {
	return recipes.Key{ID: k.ID, Fingerprint: k.Fingerprint, File: index.KeyFile, SHA256: k.SHA256}
}

var writers = map[string]func(testing.TB, string, *index.Key, index.Form, []pkgindex.Package){"deb": index.Deb, "rpm": index.RPM}

// read reads a repository in dir.
func read(t *testing.T, dir, kind string, key recipes.Key) (upstream.Index, []pkgindex.Package, error) {
	t.Helper()
	return readAt(t, now, dir, kind, key)
}

// readAt reads it at a given time.
func readAt(t *testing.T, at time.Time, dir, kind string, key recipes.Key) (upstream.Index, []pkgindex.Package, error) {
	t.Helper()
	var got []pkgindex.Package
	r := upstream.Repository{URL: dir, Packages: kind, Lists: []string{"Packages"}, Key: key, Now: at}
	state, err := r.Read(t.Context(), get, func(p pkgindex.Package) {
		p.File = strings.TrimPrefix(p.File, "./")
		got = append(got, p)
	})
	return state, got, err
}

func TestRead(t *testing.T) {
	t.Parallel()
	key := index.NewKey(t, false)
	for name, test := range map[string]struct {
		kind, signed string
		form         index.Form
	}{
		"deb plain":    {"deb", "InRelease", index.Form{}},
		"deb gz":       {"deb", "InRelease", index.Form{Ending: ".gz"}},
		"deb xz":       {"deb", "InRelease", index.Form{Ending: ".xz"}},
		"deb detached": {"deb", "Release", index.Form{Ending: ".gz", Detached: true}},
		"rpm plain":    {"rpm", "repodata/repomd.xml", index.Form{}},
		"rpm gz":       {"rpm", "repodata/repomd.xml", index.Form{Ending: ".gz"}},
		"rpm xz":       {"rpm", "repodata/repomd.xml", index.Form{Ending: ".xz"}},
		"rpm zst":      {"rpm", "repodata/repomd.xml", index.Form{Ending: ".zst"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writers[test.kind](t, dir, key, test.form, packages)
			state, got, err := read(t, dir, test.kind, pin(key))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(packages, got); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			signed, err := os.ReadFile(filepath.Join(dir, test.signed))
			if want := (upstream.Index{Address: filepath.Join(dir, test.signed), Date: index.Date, SHA256: index.Sum(signed), Key: key.ID}); err != nil || state != want {
				t.Errorf("state %+v, want %+v (%v)", state, want, err)
			}
		})
	}
}

// TestRefused: of a repository that cannot be trusted or is not whole no package gets out.
func TestRefused(t *testing.T) {
	t.Parallel()
	key, other, expired := index.NewKey(t, false), index.NewKey(t, false), index.NewKey(t, true)
	edit := func(name string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			file := filepath.Join(dir, name)
			data, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(file, change(data), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	half := func(data []byte) []byte { return data[:len(data)/2] }
	flip := func(data []byte) []byte { return bytes.Replace(data, []byte("cuda"), []byte("cudA"), 1) }
	inKey := func(data []byte) []byte { // a line that the pin's sum leaves out
		lines := bytes.SplitAfter(data, []byte("\n"))
		return bytes.Join(slices.Insert(lines, len(lines)-4, []byte("Version"+strings.Repeat("A", 57)+"\n")), nil)
	}
	otherDate := func(data []byte) []byte { return bytes.Replace(data, []byte("2026"), []byte("2027"), 1) }
	otherRevision := func(data []byte) []byte { return bytes.Replace(data, []byte("<revision>1"), []byte("<revision>2"), 1) }
	const outOfStep, failed, stale, unnamed = 3, 1, 3, 0
	for name, test := range map[string]struct {
		kind   string
		form   index.Form
		signer *index.Key // nil: key
		change func(*testing.T, string)
		code   int
		wrong  string
	}{
		"deb by another key":         {"deb", index.Form{}, other, edit(index.KeyFile, func([]byte) []byte { return key.Armored }), failed, "InRelease is signed by key " + other.ID + ", not by " + key.ID},
		"rpm by another, beside":     {"rpm", index.Form{}, other, edit(index.KeyFile, func([]byte) []byte { return key.Armored }), failed, "repomd.xml is signed by key " + other.ID + ", not by " + key.ID},
		"deb with another key":       {"deb", index.Form{}, other, nil, failed, "another key than recipes/repository pins"},
		"rpm with another key":       {"rpm", index.Form{}, other, nil, failed, "another key than recipes/repository pins"},
		"deb with more in its key":   {"deb", index.Form{}, nil, edit(index.KeyFile, inKey), failed, "a line of its body begins with Version"},
		"rpm with more in its key":   {"rpm", index.Form{}, nil, edit(index.KeyFile, inKey), failed, "a line of its body begins with Version"},
		"deb with text before":       {"deb", index.Form{}, nil, edit("InRelease", func(data []byte) []byte { return append([]byte("Date: now\n"), data...) }), failed, "has text before or after what is signed"},
		"deb with text behind":       {"deb", index.Form{}, nil, edit("InRelease", func(data []byte) []byte { return append(data, "\nDate: now\n"...) }), failed, "has text before or after what is signed"},
		"deb of a day to come":       {"deb", index.Form{Date: now.AddDate(0, 0, 2)}, nil, nil, unnamed, "InRelease is of 2026-12-03, a day to come"},
		"rpm of a day to come":       {"rpm", index.Form{Date: now.AddDate(0, 0, 2)}, nil, nil, unnamed, "repomd.xml is of 2026-12-03, a day to come"},
		"deb out of date":            {"deb", index.Form{Until: now.Add(-time.Hour)}, nil, nil, stale, "InRelease is an old state: it was valid until 2026-12-01"},
		"deb Release out of date":    {"deb", index.Form{Until: now.Add(-time.Hour), Detached: true}, nil, nil, stale, "Release is an old state: it was valid until 2026-12-01"},
		"deb changed after signing":  {"deb", index.Form{}, nil, edit("InRelease", otherDate), failed, "InRelease has a signature of " + key.ID},
		"rpm changed, beside":        {"rpm", index.Form{}, nil, edit("repodata/repomd.xml", otherRevision), failed, "repomd.xml has a signature of " + key.ID},
		"deb changed, beside":        {"deb", index.Form{Detached: true}, nil, edit("Release", otherDate), failed, "Release has a signature of " + key.ID},
		"deb without a signature":    {"deb", index.Form{Detached: true}, nil, remove("Release.gpg"), failed, "Release is not signed: there is no "},
		"rpm without a signature":    {"rpm", index.Form{}, nil, remove("repodata/repomd.xml.asc"), failed, "repomd.xml is not signed: there is no "},
		"deb with nothing signed":    {"deb", index.Form{}, nil, edit("InRelease", func([]byte) []byte { return []byte("Date: now\n") }), failed, "InRelease is not signed"},
		"deb InRelease truncated":    {"deb", index.Form{}, nil, edit("InRelease", half), failed, "InRelease is not signed"},
		"rpm truncated, beside":      {"rpm", index.Form{}, nil, edit("repodata/repomd.xml.asc", half), failed, "repomd.xml has a signature"},
		"deb list newer than signed": {"deb", index.Form{}, nil, edit("Packages", flip), outOfStep, "Packages has the sha256 "},
		"rpm list newer than signed": {"rpm", index.Form{}, nil, edit("repodata/primary.xml", flip), outOfStep, "primary.xml has the sha256 "},
		"deb list truncated":         {"deb", index.Form{Ending: ".gz"}, nil, edit("Packages.gz", half), outOfStep, "Packages.gz has "},
		"rpm list truncated":         {"rpm", index.Form{Ending: ".zst"}, nil, edit("repodata/primary.xml.zst", half), outOfStep, "primary.xml.zst has "},
		"deb list not there yet":     {"deb", index.Form{}, nil, remove("Packages"), outOfStep, "Packages is not there, though "},
		"rpm list not there yet":     {"rpm", index.Form{}, nil, remove("repodata/primary.xml"), outOfStep, "primary.xml is not there, though "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, signer := t.TempDir(), key
			if test.signer != nil {
				signer = test.signer
			}
			writers[test.kind](t, dir, signer, test.form, packages)
			if test.change != nil {
				test.change(t, dir)
			}
			_, got, err := read(t, dir, test.kind, pin(key))
			if err == nil || !strings.Contains(err.Error(), test.wrong) || len(got) > 0 {
				t.Fatalf("%d packages, error %v; want none and %q", len(got), err, test.wrong)
			}
			if code := hint.Code(err, 0); code != test.code {
				t.Errorf("%v: code %d, want %d", err, code, test.code)
			}
			if later := strings.Contains(hint.Of(err), "try again later"); later != (test.code == outOfStep && !strings.Contains(test.wrong, "old state") || strings.Contains(name, "beside")) {
				t.Errorf("%v: hint %q", err, hint.Of(err))
			}
		})
	}
	for kind, write := range writers {
		dir := t.TempDir()
		write(t, dir, expired, index.Form{}, packages)
		var problem *upstream.KeyError
		if _, _, err := read(t, dir, kind, pin(expired)); !errors.As(err, &problem) || !strings.Contains(err.Error(), "expired on 2020-01-02") {
			t.Errorf("%s: %v, want a key that has expired", kind, err)
		}
	}
}

// TestClockBehind: what was signed after what the clock says, by a key of that time, has not expired.
func TestClockBehind(t *testing.T) {
	t.Parallel()
	key := index.NewKey(t, false)
	for kind, write := range writers {
		dir := t.TempDir()
		write(t, dir, key, index.Form{}, packages)
		const want = "is signed at 2026-10-30T10:00:00Z, which is to come: this machine's clock says 2026-10-30T09:59:00Z"
		_, _, err := readAt(t, index.Date.AddDate(0, -1, 0).Add(-time.Minute), dir, kind, pin(key))
		if err == nil || !strings.HasSuffix(err.Error(), want) || hint.Code(err, 0) != 1 {
			t.Errorf("%s: %v, want %q", kind, err, want)
		}
	}
}

// TestSignatures: of several signatures one by the pinned key is enough, wherever it stands.
func TestSignatures(t *testing.T) {
	t.Parallel()
	key, other := index.NewKey(t, false), index.NewKey(t, false)
	var signed [][]byte
	dir := t.TempDir()
	asc := filepath.Join(dir, "repodata", "repomd.xml.asc")
	for _, k := range []*index.Key{other, key} {
		index.RPM(t, dir, k, index.Form{}, packages)
		data, err := os.ReadFile(asc)
		if err != nil {
			t.Fatal(err)
		}
		block, err := armor.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		packet, err := io.ReadAll(block.Body)
		if err != nil {
			t.Fatal(err)
		}
		signed = append(signed, packet)
	}
	sha1 := slices.Clone(signed[0])
	sha1[bytes.Index(sha1, []byte{0x04, 0x00, 0x01, 0x08})+3] = 2 // version 4 of a file's, RSA, SHA-256: SHA-1
	for name, test := range map[string]struct {
		packets []byte
		wrong   string
	}{
		"another's first":  {append(slices.Clone(signed[0]), signed[1]...), ""},
		"another's second": {append(slices.Clone(signed[1]), signed[0]...), ""},
		"an old hash":      {append(sha1, signed[1]...), ""},
		"another's alone":  {signed[0], "is signed by key " + other.ID},
		"none":             {[]byte{}, "has a signature that cannot be read"},
	} {
		if err := os.WriteFile(asc, test.packets, 0o644); err != nil {
			t.Fatal(err)
		}
		_, got, err := read(t, dir, "rpm", pin(key))
		if test.wrong == "" && (err != nil || len(got) != len(packages)) || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
			t.Errorf("%s: %d packages, %v, want the error %q", name, len(got), err, test.wrong)
		}
	}
}

// TestByDate: a mirror of old states may be out of date.
func TestByDate(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), index.NewKey(t, false)
	index.Deb(t, dir, key, index.Form{Until: now.Add(-time.Hour)}, packages)
	r := upstream.Repository{URL: dir, Packages: "deb", Lists: []string{"Packages"}, Key: pin(key), Now: now, ByDate: true}
	if _, err := r.Read(t.Context(), get, func(pkgindex.Package) {}); err != nil {
		t.Error(err)
	}
}

// TestRealTools reads what apt-ftparchive, createrepo_c and gpg write.
func TestRealTools(t *testing.T) {
	t.Parallel()
	for program, from := range repo.Tools {
		if _, err := exec.LookPath(program); err != nil {
			require.Missing(t, "standin", errors.New(from))
		}
	}
	key := repo.NewKey(t, false)
	pinned := recipes.Key{ID: key.Fingerprint[32:], Fingerprint: key.Fingerprint, File: repo.KeyFile, SHA256: index.Sum(key.Armored)}
	for kind, write := range map[string]func(testing.TB, *repo.Key, string, []repo.Package){"deb": repo.Apt, "rpm": repo.RPM} {
		dir := t.TempDir()
		write(t, key, dir, []repo.Package{{Name: "cuda-cudart-13-4", Version: "13.4.51-1"}})
		state, got, err := readAt(t, time.Now(), dir, kind, pinned)
		if err != nil || len(got) != 1 || got[0].Name != "cuda-cudart-13-4" || got[0].Version != "13.4.51-1" || len(got[0].SHA256) != 64 || state.Date.IsZero() {
			t.Errorf("%s: %+v, %+v, %v", kind, state, got, err)
		}
		if kind == "deb" { // as NVIDIA's older repositories
			if err := os.Remove(filepath.Join(dir, "InRelease")); err != nil {
				t.Fatal(err)
			}
			if state, got, err := readAt(t, time.Now(), dir, kind, pinned); err != nil || len(got) != 1 || !strings.HasSuffix(state.Address, "/Release") {
				t.Errorf("Release.gpg: %+v, %+v, %v", state, got, err)
			}
		}
	}
}

// TestReadLists: of a file that the caller has the signature does not count, and the sums in it do.
func TestReadLists(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	index.Deb(t, dir, index.NewKey(t, false), index.Form{Ending: ".gz"}, packages)
	signed, err := os.ReadFile(filepath.Join(dir, "InRelease"))
	if err != nil {
		t.Fatal(err)
	}
	_, plain, _ := strings.Cut(string(signed), "\n\n")
	plain, _, _ = strings.Cut(plain, "-----BEGIN")
	for name, test := range map[string]struct{ text, list, wrong string }{
		"signed":      {string(signed), "Packages", ""},
		"not signed":  {plain, "Packages", ""},
		"one is gone": {strings.Replace(plain, "SHA256:\n ", "SHA256:\n "+strings.Repeat("0", 64)+" 9 Packages.xz\n ", 1), "Packages", ""},
		"no such":     {plain, "main/binary-amd64/Packages", "names no main/binary-amd64/Packages with a sha256"},
		"not a state": {"<html>", "Packages", "the address: no date"},
	} {
		var got []pkgindex.Package
		r := upstream.Repository{URL: dir, Packages: "deb", Lists: []string{test.list}}
		err := r.ReadLists(t.Context(), get, "the address", []byte(test.text), func(p pkgindex.Package) {
			p.File = strings.TrimPrefix(p.File, "./")
			got = append(got, p)
		})
		if test.wrong == "" && (err != nil || !cmp.Equal(packages, got)) || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
			t.Errorf("%s: %v, %v, want %q", name, got, err, test.wrong)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "Packages.gz"), []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	var outOfStep *upstream.OutOfStepError
	r := upstream.Repository{URL: dir, Packages: "deb", Lists: []string{"Packages"}}
	if err := r.ReadLists(t.Context(), get, "the address", signed, func(pkgindex.Package) { t.Error("a package of another list") }); !errors.As(err, &outOfStep) {
		t.Errorf("another list: %v", err)
	}
}
