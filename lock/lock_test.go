// SPDX-License-Identifier: Apache-2.0

package lock_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cudabuild/cudabuild/lock"
)

var (
	thirteen = lock.System{OS: "debian13", Platform: "linux/amd64"}
	twelve   = lock.System{OS: "debian12", Platform: "linux/amd64"}
	vendors  = lock.System{OS: "ubi9", Platform: "linux/amd64"}
	monday   = time.Date(2026, 11, 30, 2, 14, 33, 0, time.UTC)
)

func sum(digit string) string { return strings.Repeat(digit, 64) }

// locked is the lock of one system.
func locked(s lock.System, packages ...lock.Package) *lock.Lock {
	l := &lock.Lock{
		Tools: map[string]string{"buildkitd": "v0.33.1"},
		Roots: []lock.Root{{System: s, Digest: "sha256:" + sum("1"), Index: "sha256:" + sum("2"), Tools: map[string]string{"apt": "3.0.4"}}},
		Lists: []lock.List{{s, "http://own.example/debian/dists/x/InRelease", monday, sum("3")}},
	}
	for _, p := range packages {
		p.System = s
		l.Packages = append(l.Packages, p)
	}
	return (*lock.Lock)(nil).Update(l)
}

var (
	libc  = lock.Package{Name: "libc6", Arch: "amd64", Version: "2.41-12", SHA256: sum("a")}
	bash  = lock.Package{Name: "bash", Arch: "amd64", Version: "5.2-1", SHA256: sum("b")}
	guard = lock.Package{Name: "guard", Arch: "all", Version: "12.4"}
)

const want = `{"version":1,
"tools":{"buildkitd":"v0.33.1"},
"roots":[
{"os":"debian13","platform":"linux/amd64","digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","index":"sha256:2222222222222222222222222222222222222222222222222222222222222222","tools":{"apt":"3.0.4"}}
],
"lists":[
{"os":"debian13","platform":"linux/amd64","repository":"http://own.example/debian/dists/x/InRelease","date":"2026-11-30T02:14:33Z","sha256":"3333333333333333333333333333333333333333333333333333333333333333"}
],
"packages":[
{"os":"debian13","platform":"linux/amd64","name":"bash","arch":"amd64","version":"5.2-1","sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
{"os":"debian13","platform":"linux/amd64","name":"guard","arch":"all","version":"12.4"}
]}
`

// TestFile: sorted, a line for each entry, and read back as it was written.
func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "matrix.lock")
	l := locked(thirteen, guard, bash, bash)
	if err := l.Write(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if diff := cmp.Diff(want, string(data)); diff != "" || err != nil {
		t.Errorf("%v, file (-want +got):\n%s", err, diff)
	}
	again, err := lock.Read(path)
	if diff := cmp.Diff(l, again, cmpopts.IgnoreUnexported(lock.Lock{})); diff != "" || err != nil {
		t.Errorf("%v, read back (-written +read):\n%s", err, diff)
	}
	if !strings.HasPrefix(again.Digest(), "sha256:") || l.Digest() != "" {
		t.Errorf("digests %q of the file, %q of no file", again.Digest(), l.Digest())
	}
	if _, err := lock.Read(path + "x"); !errors.Is(err, lock.ErrNone) {
		t.Errorf("no file: %v, want ErrNone", err)
	}
	if got := lock.Beside("a.b/matrix.yaml"); got != "a.b/matrix.lock" {
		t.Errorf("Beside = %s", got)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ old, new, wrong string }{
		"as it is":    {"", "", ""},
		"newer key":   {`"version":1,`, `"version":1,"more":{},`, ""},
		"version":     {`"version":1,`, `"version":2,`, "version 2, want 1"},
		"no version":  {`"version":1,`, ``, "version 0, want 1"},
		"twice a key": {`"version":1,`, `"version":1,"version":1,`, "is there twice"},
		"merged":      {`{"os":"debian13","platform":"linux/amd64","name":"guard"`, `{"os":"debian13","platform":"linux/amd64","name":"guard","arch":"all","version":"12.4"},` + "\n" + `{"os":"debian13","platform":"linux/amd64","name":"guard"`, "package guard:all 12.4 of debian13 linux/amd64 is there twice (after a merge?"},
		"conflict":    {`"packages":[`, "<<<<<<< ours\n" + `"packages":[`, "invalid character"},
		"digest":      {`"sha256:1`, `"sha512:1`, "is no digest"},
		"sum":         {`"sha256":"3`, `"sha256":"X`, "want 64 hexadecimal digits"},
		"package sum": {`"sha256":"b`, `"sha256":"B`, "package bash:amd64: sha256"},
		"no system":   {`"os":"debian13","platform":"linux/amd64","name":"guard"`, `"name":"guard"`, "is no OS and platform"},
		"control":     {`"name":"guard"`, `"name":"\u001b[2J"`, "is not one word"},
		"no version ": {`"version":"12.4"`, `"version":""`, "is not one word"},
		"date":        {`02:14:33Z`, `later`, "parsing time"},
		"no date":     {`"date":"2026-11-30T02:14:33Z",`, ``, "list http://own.example/debian/dists/x/InRelease of debian13 linux/amd64 has no date"},
		"tool":        {`"buildkitd":"v0.33.1"`, `"buildkitd":"\u001b[2J"`, "tools of all systems: \"buildkitd\""},
		"root's tool": {`"apt":"3.0.4"`, `"a pt":"3.0.4"`, "tools of debian13 linux/amd64: \"a pt\""},
		"by tag":      {`"index":`, `"image":"r.example/x:1","index":`, "want it by its digest, @sha256:1111"},
		"by another":  {`"index":`, `"image":"r.example/x@sha256:` + sum("2") + `","index":`, "want it by its digest, @sha256:1111"},
		"by digest":   {`"index":`, `"image":"r.example/x@sha256:` + sum("1") + `","index":`, ""},
		"empty":       {want, "", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := lock.Parse([]byte(strings.Replace(want, test.old, test.new, 1)))
			if (err == nil) != (test.wrong == "") || (err == nil) != (l != nil) || err != nil && !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("Parse: %v, want %q", err, test.wrong)
			}
		})
	}
	two := strings.Replace(want, "\n],\n\"lists\"", ",\n"+strings.Replace(strings.Split(want, "\n")[3], "1111", "4444", 1)+"\n],\n\"lists\"", 1)
	if _, err := lock.Parse([]byte(two)); err == nil || !strings.Contains(err.Error(), "debian13 linux/amd64 has two roots") {
		t.Errorf("two roots: %v", err)
	}
}

// TestUpdateUnites: who has built fewer images from the same root takes nothing out of the lock. What a list
// has now is the newer word.
func TestUpdateUnites(t *testing.T) {
	t.Parallel()
	old := locked(thirteen, libc, bash)
	old.Roots[0].Read = monday
	fresh := locked(thirteen, libc, guard)
	fresh.Roots[0].Read = monday.Add(time.Hour)
	fresh.Packages[1].SHA256 = sum("c")
	l := old.Update(fresh)
	var got []string
	for _, p := range l.Packages {
		got = append(got, p.Name+" "+p.SHA256)
	}
	if diff := cmp.Diff([]string{"bash " + sum("b"), "guard ", "libc6 " + sum("c")}, got); diff != "" || len(l.Roots) != 1 || !l.Roots[0].Read.Equal(monday) {
		t.Errorf("the same root, read at %v, packages (-want +got):\n%s", l.Roots[0].Read, diff)
	}
	for name, change := range map[string]func(*lock.Root){
		"root":  func(r *lock.Root) { r.Digest = "sha256:" + sum("9") },
		"index": func(r *lock.Root) { r.Index = "sha256:" + sum("9") },
	} {
		fresh := locked(thirteen, guard)
		change(&fresh.Roots[0])
		if l := old.Update(fresh); len(l.Packages) != 1 || !l.Roots[0].Read.IsZero() {
			t.Errorf("another %s: %+v and %d packages, want those of then", name, l.Roots[0], len(l.Packages))
		}
	}
}

// TestWrite: what could not be read is not written.
func TestWrite(t *testing.T) {
	t.Parallel()
	l := locked(thirteen, bash)
	l.Tools["buildkitd"] = "v1\n"
	path := filepath.Join(t.TempDir(), "matrix.lock")
	if err := l.Write(path); err == nil || !strings.Contains(err.Error(), "is not written: tools of all systems") {
		t.Errorf("Write = %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a file")
	}
}

// TestUpdate: a system whose root has moved is replaced as a whole, others stay.
func TestUpdate(t *testing.T) {
	t.Parallel()
	old := locked(thirteen, libc, bash).Update(locked(twelve, guard))
	before, _ := old.Bytes()
	newer, moved := libc, bash
	newer.Version, moved.SHA256 = "2.41-13", sum("c")
	fresh := locked(thirteen, newer, moved, guard)
	fresh.Roots[0].Digest = "sha256:" + sum("9")
	fresh.Tools = map[string]string{"buildkitd": "v0.34.0"}
	l := old.Update(fresh)
	if after, _ := old.Bytes(); !bytes.Equal(before, after) {
		t.Error("the old lock was changed")
	}
	var got []string
	for _, c := range lock.Compare(old, l).Changes {
		got = append(got, c.String())
	}
	if diff := cmp.Diff([]string{
		"~ tool buildkitd v0.33.1 -> v0.34.0",
		"~ debian13 linux/amd64 package bash:amd64 5.2-1 sha256:bbbbbbbbbbbb -> 5.2-1 sha256:cccccccccccc",
		"+ debian13 linux/amd64 package guard:all 12.4",
		"~ debian13 linux/amd64 package libc6:amd64 2.41-12 sha256:aaaaaaaaaaaa -> 2.41-13 sha256:aaaaaaaaaaaa",
		"~ debian13 linux/amd64 root sha256:" + sum("1") + " -> sha256:" + sum("9"),
	}, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if gone := lock.Compare(l, locked(thirteen)).Changes; len(gone) != 9 || gone[len(gone)-1].New == "" || !strings.HasPrefix(gone[1].String(), "- debian12 linux/amd64 list ") {
		t.Errorf("without debian12 and packages: %v", gone)
	}
	if same := lock.Compare(l, l); len(same.Changes) != 0 || same.Changes == nil {
		t.Errorf("the same: %v, want an empty list", same.Changes)
	}
	if root, ok := l.Root(twelve); !ok || root.Digest != "sha256:"+sum("1") || len(l.ListsOf(twelve)) != 1 || len(l.PackagesOf(twelve)) != 1 {
		t.Errorf("debian12: %+v, %v", root, ok)
	}
}

// TestDate: a mirror by date takes a state in some time after the date that is in it.
func TestDate(t *testing.T) {
	t.Parallel()
	l := locked(thirteen).Update(locked(twelve)).Update(locked(vendors))
	l.Lists[1].Date = monday.Add(time.Hour)
	l.Lists[2].Date = monday.Add(99 * time.Hour)
	if got := l.Date(twelve); !got.Equal(monday) {
		t.Errorf("Date of debian12 = %v", got)
	}
	if got := l.Date(twelve, thirteen).Format(lock.DateFormat); got != "20261130T031433Z" {
		t.Errorf("Date of both = %v", got)
	}
	l.Roots[0].Read = monday.Add(30 * time.Minute)
	l.Roots[2].Image = "r.example/x@" + l.Roots[2].Digest
	for want, systems := range map[string][]lock.System{
		"20261130T024433Z": {twelve},
		"20261130T031433Z": {twelve, thirteen, vendors},
		"00010101T000000Z": {vendors},
	} {
		if got := l.Date(systems...).Format(lock.DateFormat); got != want {
			t.Errorf("Date of %v = %s, want %s", systems, got, want)
		}
	}
}

// TestLost: what has no sum is in no list.
func TestLost(t *testing.T) {
	t.Parallel()
	l := locked(thirteen, libc, bash, guard, lock.Package{Name: "dash", Arch: "amd64", Version: "1", SHA256: sum("f")}, lock.Package{Name: "tar", Arch: "amd64", Version: "1", SHA256: sum("d")})
	have := lock.Index{}
	for _, p := range []lock.Package{
		{Name: "libc6", Arch: "amd64", Version: "2.41-13", SHA256: sum("a")},
		{Name: "libc6", Arch: "i386", Version: "2.41-12", SHA256: sum("a")},
		{Name: "bash", Arch: "amd64", Version: "5.2-1", SHA256: sum("e")},
		{Name: "dash", Arch: "amd64", Version: "1", SHA256: sum("f")}, // of one component, and another file of the next
		{Name: "dash", Arch: "amd64", Version: "1", SHA256: sum("e")},
	} {
		have.Add(p)
	}
	var got []string
	for _, loss := range l.Lost(thirteen, have) {
		got = append(got, loss.String())
	}
	if diff := cmp.Diff([]string{
		"bash:amd64 5.2-1 has moved (the same version is another file)", "libc6:amd64 2.41-12 is gone (there is 2.41-13)", "tar:amd64 1 is gone",
	}, got); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
	if got := have.Sum(lock.Package{Name: "dash", Arch: "amd64", Version: "1"}); got != sum("f") {
		t.Errorf("sum of dash %.4s, want that of the first list", got)
	}
	if lost := l.Lost(twelve, have); lost != nil {
		t.Errorf("of another system: %v", lost)
	}
}

// TestStrays: an image may have less than the lock, and nothing else.
func TestStrays(t *testing.T) {
	t.Parallel()
	l := locked(thirteen, libc, bash)
	in := func(s lock.System, p lock.Package) lock.Package { p.System, p.SHA256 = s, ""; return p }
	newer := libc
	newer.Version = "2.41-13"
	if strays := l.Strays([]lock.Package{in(thirteen, libc)}); strays != nil {
		t.Errorf("strays %v, want none", strays)
	}
	var got []string
	for _, s := range l.Strays([]lock.Package{in(thirteen, bash), in(thirteen, newer), in(thirteen, guard), in(twelve, libc)}) {
		got = append(got, s.System.String()+" "+s.String())
	}
	if diff := cmp.Diff([]string{
		"debian13 linux/amd64 libc6:amd64 2.41-13 (the lock has 2.41-12)", "debian13 linux/amd64 guard:all 12.4 (not in the lock)", "debian12 linux/amd64 libc6:amd64 2.41-12 (not in the lock)",
	}, got); diff != "" {
		t.Errorf("strays (-want +got):\n%s", diff)
	}
}

// FuzzParse: a lock or an error, and what is read is written so that it is read the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(want))
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := lock.Parse(data)
		if err != nil {
			return
		}
		text, err := l.Update(&lock.Lock{}).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := lock.Parse(text)
		if err != nil {
			t.Fatalf("%v in what was written: %s", err, text)
		}
		if d := lock.Compare(l, again); len(d.Changes) > 0 {
			t.Fatalf("changed by writing: %v", d.Changes)
		}
	})
}
