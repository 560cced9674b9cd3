// SPDX-License-Identifier: Apache-2.0

package rpmdb_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/verify/internal/rpmdb"
)

// databases: those of SQLite and Berkeley DB were written by rpm itself
// (testdata/make.sh), the one of NDB is made from the same headers.
var databases = []string{"rpmdb.sqlite", "Packages.db", "Packages"}

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	if name == "Packages.db" {
		return ndbFile(tb, read(tb, "rpmdb.sqlite"))
	}
	packed, err := os.ReadFile(filepath.Join("testdata", name+".zst"))
	if err != nil {
		tb.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer dec.Close()
	data, err := dec.DecodeAll(packed, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// ndbFile puts the headers of another database into one slot page and blobs behind it.
func ndbFile(tb testing.TB, other []byte) []byte {
	le := binary.LittleEndian
	out := make([]byte, 4096)
	copy(out, "RpmP")
	le.PutUint32(out[12:], 1)
	for at := 32; at < len(out); at += 16 {
		copy(out[at:], "Slot")
	}
	id := uint32(0)
	err := rpmdb.Blobs(other, func(blob []byte) error {
		id++
		slot := out[32+16*int(id):]
		le.PutUint32(slot[4:], id)
		le.PutUint32(slot[8:], uint32(len(out)/16))
		out = append(out, "BlbS"...)
		for _, n := range []uint32{id, 0, uint32(len(blob))} {
			out = le.AppendUint32(out, n)
		}
		out = append(out, blob...)
		out = append(out, make([]byte, -len(out)&15)...)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

type listed struct {
	Name, Version string
	Files         int
	First         string
}

func list(data []byte) (all []listed, err error) {
	err = rpmdb.Read(data, func(p rpmdb.Package) {
		l := listed{Name: p.Name, Version: p.Version}
		p.Files(func(file string) {
			if l.Files++; l.Files == 1 {
				l.First = file
			}
		})
		all = append(all, l)
	})
	return all, err
}

func TestRead(t *testing.T) {
	t.Parallel()
	want := map[listed]bool{
		{"nvidia-driver-cuda", "3:550.54.15-1.el9", 5, "/usr"}: true,
		{"many-files", "1.0-1.el9", 3003, "/usr"}:              true, // its header needs overflow pages
	}
	for _, name := range databases {
		all, err := list(read(t, name))
		got := map[listed]bool{}
		for _, l := range all {
			got[l] = true
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for _, name := range databases {
		data := read(t, name)
		for _, n := range []int{0, 20, 511, 5000, len(data) / 2} {
			if _, err := list(data[:n]); !errors.Is(err, rpmdb.ErrMalformed) {
				t.Errorf("%s: the first %d bytes: %v, want ErrMalformed", name, n, err)
			}
		}
	}
}

// small is the databases without the package of many files: whole databases of hundreds of
// kilobytes allow a few executions a second.
func small(tb testing.TB) [][]byte {
	tb.Helper()
	sqlite := read(tb, "small.sqlite")
	le := binary.LittleEndian
	const page = 4096
	bdb := read(tb, "Packages")[:4*page] // the fourth page holds the small package, the fifth begins the large one
	le.PutUint32(bdb[32:], 3)            // the last page
	le.PutUint16(bdb[page+20:], 2)       // entries on the first hash page: the last two were of the large one
	return [][]byte{sqlite, ndbFile(tb, sqlite), bdb}
}

func TestSmall(t *testing.T) {
	t.Parallel()
	want := []listed{{"nvidia-driver-cuda", "3:550.54.15-1.el9", 5, "/usr"}}
	for i, data := range small(t) {
		all, err := list(data)
		if diff := cmp.Diff(want, all); err != nil || diff != "" {
			t.Errorf("database %d, %d bytes: %v (-want +got):\n%s", i, len(data), err, diff)
		}
	}
}

// TestSaid holds what a header says beside name and version.
func TestSaid(t *testing.T) {
	t.Parallel()
	var got []string
	err := rpmdb.Read(small(t)[0], func(p rpmdb.Package) { got = append(got, p.Arch, p.License, p.Source) })
	want := []string{"noarch", "Apache-2.0", "nvidia-driver-cuda-550.54.15-1.el9.src.rpm"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// FuzzRead asserts: no more than the bytes account for, and only the documented error.
func FuzzRead(f *testing.F) {
	for _, data := range small(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := list(data)
		if err != nil && !errors.Is(err, rpmdb.ErrMalformed) {
			t.Errorf("Read: %v is not the documented error", err)
		}
		if len(all) > len(data)/16 {
			t.Errorf("%d packages in %d bytes", len(all), len(data))
		}
	})
}
