// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"archive/tar"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// TestVerifyMemoryOfNames judges images that make a lot of little: names, links,
// records, layers. Each is small as a blob.
func TestVerifyMemoryOfNames(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "cudabuild")
	if r := run(t, "go", "build", "-o", program, "../cmd/cudabuild"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	for _, tc := range manyNames() {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			writeImage(t, dir, tc.layers, 0)
			begun := time.Now()
			verdict, rss := judgeByProgram(t, program, "oci:"+dir)
			t.Logf("%s, %.0f MB, %.1f s", verdict, rss/1e6, time.Since(begun).Seconds())
			if !slices.Contains(strings.Fields(tc.want), verdict) || rss > maxRSS() {
				t.Errorf("verdict %s with %.0f MB, want %s with at most %.0f MB", verdict, rss/1e6, tc.want, maxRSS()/1e6)
			}
		})
	}
}

type names struct {
	name   string
	layers []func(*tar.Writer)
	want   string // verdicts that are right
}

// manyNames: where there is a leak, none of the rest may keep it from being found.
func manyNames() []names {
	leak := func(w *tar.Writer) { imagetest.Tar(w, "opt/libcuda.so.550.54.15", imagetest.Entry{Data: "x"}) }
	one := func(write func(*tar.Writer)) []func(*tar.Writer) {
		return []func(*tar.Writer){func(w *tar.Writer) { write(w); leak(w) }}
	}
	files := func(n int, name, data string) []func(*tar.Writer) {
		return one(func(w *tar.Writer) {
			for i := range n {
				imagetest.Tar(w, fmt.Sprintf(name, i), imagetest.Entry{Data: data})
			}
		})
	}
	deep, database := strings.Repeat("n/", 2000), string(ndb(50, 20_000))+strings.Repeat("\x00", 100<<20)
	return []names{
		{"wheel names", files(200_000, "usr/lib/python3/p%d-1.dist-info/RECORD", "p.py,,\n"), "FAIL"},
		{"wheel names in one record", one(func(w *tar.Writer) {
			var b strings.Builder
			for i := range 1_000_000 {
				fmt.Fprintf(&b, "n%d/libcuda.so.1,,\n", i)
			}
			imagetest.Tar(w, "p-1.dist-info/RECORD", imagetest.Entry{Data: b.String()})
		}), "FAIL"},
		{"conda records", files(300_000, "opt/conda/conda-meta/p%d.json", `{"name":"p","version":"1"}`), "FAIL"},
		{"a conda record", one(func(w *tar.Writer) {
			imagetest.Tar(w, "opt/conda/conda-meta/p.json", imagetest.Entry{Data: `{"name":"p","files":["` + strings.Repeat(`x","`, 7_000_000) + `"]}`})
		}), "FAIL"},
		{"records of single packages", files(300_000, "var/lib/dpkg/status.d/p%d", "Package: p\nVersion: 1\n\n"), "FAIL"},
		{"package names with room behind them", one(func(w *tar.Writer) {
			var b strings.Builder
			for i := range 200 {
				fmt.Fprintf(&b, "Package: nvidia-driver-%d%sx\nVersion: 1\nStatus: install ok installed\n\n", i, strings.Repeat(" ", 1_000_000))
				fmt.Fprintf(&b, "Package: nvidia-driver-%d%s\nVersion: 1\nStatus: install ok installed\n\n", i, strings.Repeat(" ", 1_000_000))
			}
			imagetest.Tar(w, "var/lib/dpkg/status", imagetest.Entry{Data: b.String()})
		}), "FAIL"},
		{"databases of rpm", repeat(3, func(w *tar.Writer) {
			imagetest.Tar(w, "var/lib/rpm/Packages.db", imagetest.Entry{Data: database})
			leak(w)
		}), "FAIL"},
		{"a database of rpm with nothing in it", repeat(3, func(w *tar.Writer) {
			imagetest.Tar(w, "usr/share/rpm/rpmdb.sqlite", imagetest.Entry{Data: "SQLite format 3\x00" + strings.Repeat("\x00", 127<<20)})
			leak(w)
		}), "FAIL"},
		{"wheels with long names", one(func(w *tar.Writer) {
			for i := range 50_000 {
				imagetest.Tar(w, fmt.Sprint("p/", strings.Repeat("p", 2000), i, "-1.dist-info/RECORD"), imagetest.Entry{Data: "p.py,,\n"})
			}
		}), "FAIL"},
		{"links 2,000 deep", repeat(2, func(w *tar.Writer) {
			for i := range 4000 {
				imagetest.Tar(w, fmt.Sprint("a", i, "/", deep, "libcuda.so.1"), imagetest.Entry{Symlink: fmt.Sprint("b", i)})
			}
		}), "FAIL"},
		{"links of links 2,000 deep", repeat(2, func(w *tar.Writer) {
			for i := range 4000 {
				imagetest.Tar(w, fmt.Sprint(deep, "a", i), imagetest.Entry{Symlink: "/" + fmt.Sprint(deep, "a", i+1)})
				imagetest.Tar(w, fmt.Sprint(deep, "a", i, "/libx.so"), imagetest.Entry{Symlink: "/" + deep + "a0/y"})
			}
			leak(w)
		}), "FAIL"},
		{"directories behind a link to far below", one(func(w *tar.Writer) {
			imagetest.Tar(w, "l", imagetest.Entry{Symlink: "/" + deep})
			for i := range 100_000 {
				imagetest.Tar(w, fmt.Sprint("l/", i, "/x"), imagetest.Entry{Symlink: "y"})
			}
		}), "FAIL"},
		{"links at a program's name", repeat(4, func(w *tar.Writer) {
			for i := range 9000 {
				imagetest.Tar(w, fmt.Sprint("a", i, "/bin/nvidia-smi"), imagetest.Entry{Symlink: fmt.Sprint("/b", i, "/nvidia-smi")})
				imagetest.Tar(w, fmt.Sprint("b", i, "/nvidia-smi"), imagetest.Entry{Data: "x"})
			}
			leak(w)
		}), "FAIL"},
		{"driver packages in each layer", repeat(40, func(w *tar.Writer) {
			var b strings.Builder
			for i := range 5000 {
				fmt.Fprintf(&b, "Package: nvidia-driver-%d\nVersion: 1\nStatus: install ok installed\n\n", i)
			}
			imagetest.Tar(w, "var/lib/dpkg/status", imagetest.Entry{Data: b.String()})
		}), "FAIL"},
		{"a thousand layers", repeat(1000, func(w *tar.Writer) {
			for i := range 8 {
				name := fmt.Sprint("opt/", i, "/libcuda.so.1")
				imagetest.Tar(w, name, imagetest.Entry{Data: "x"})
				imagetest.Tar(w, fmt.Sprint("lib", i, ".so"), imagetest.Entry{Link: name})
				imagetest.Tar(w, fmt.Sprint(deep[:1000], i, "/bin/nvidia-smi"), imagetest.Entry{Symlink: "nvidia-smi"})
			}
			imagetest.Tar(w, "var/lib/dpkg/status", imagetest.Entry{Data: "Package: libcuda1\nStatus: install ok installed\n"})
		}), "FAIL"},
		{"forward compatibility in each layer", repeat(1000, func(w *tar.Writer) {
			imagetest.Tar(w, "usr/local/cuda/compat/libcuda.so.550.54.15", imagetest.Entry{Data: "x"})
			for i := range 20 {
				imagetest.Tar(w, fmt.Sprint("usr/local/l", i), imagetest.Entry{Symlink: fmt.Sprint("l", i+1)})
			}
		}), "FAIL UNKNOWN PASS"},
		{"links with large headers", one(func(w *tar.Writer) {
			for i := range 2000 {
				_ = w.WriteHeader(&tar.Header{Name: fmt.Sprint("l", i), Typeflag: tar.TypeSymlink, Linkname: "é" + fmt.Sprint(i), PAXRecords: map[string]string{"X.y": strings.Repeat("n", 500_000)}})
			}
		}), "FAIL"},
		{"hard links of a library", one(func(w *tar.Writer) {
			imagetest.Tar(w, "a.so", imagetest.File(imagetest.ELF{SOName: "a.so", Needed: slices.Repeat([]string{strings.Repeat("n", 200)}, 4000)}.Bytes()))
			for i := range 60_000 {
				imagetest.Tar(w, fmt.Sprint(i, ".so"), imagetest.Entry{Link: "a.so"})
			}
		}), "FAIL UNKNOWN"},
		{"hard links of a library that searches far", one(func(w *tar.Writer) {
			imagetest.Tar(w, "lib64/ld-linux-x86-64.so.2", imagetest.File(imagetest.ELF{SOName: "ld-linux-x86-64.so.2"}.Bytes()))
			var path strings.Builder
			for i := range 500 {
				fmt.Fprint(&path, "$ORIGIN/", i, ":")
			}
			imagetest.Tar(w, "a.so", imagetest.File(imagetest.ELF{SOName: "a.so", Needed: []string{"b.so", "c.so"}, RunPath: path.String()}.Bytes()))
			for i := range 60_000 {
				imagetest.Tar(w, fmt.Sprint(i, "/a.so"), imagetest.Entry{Link: "a.so"})
			}
		}), "FAIL UNKNOWN"},
		{"libraries that need all others", one(func(w *tar.Writer) {
			imagetest.Tar(w, "lib64/ld-linux-x86-64.so.2", imagetest.File(imagetest.ELF{SOName: "ld-linux-x86-64.so.2"}.Bytes()))
			var all []string
			for i := range 2000 {
				all = append(all, fmt.Sprint("l", i, ".so"))
			}
			for _, name := range all {
				imagetest.Tar(w, "usr/lib/"+name, imagetest.File(imagetest.ELF{SOName: name, Needed: all}.Bytes()))
			}
		}), "FAIL"},
		{"libraries that lack much", repeat(3, func(w *tar.Writer) {
			imagetest.Tar(w, "lib64/ld-linux-x86-64.so.2", imagetest.File(imagetest.ELF{SOName: "ld-linux-x86-64.so.2"}.Bytes()))
			n := time.Now().UnixNano() // other names in each layer
			for i := range 150 {
				var all []string
				for k := range 4000 {
					all = append(all, fmt.Sprint(n, "-", i, "-", k))
				}
				imagetest.Tar(w, fmt.Sprint("usr/lib/", n, i, ".so"), imagetest.File(imagetest.ELF{Needed: all}.Bytes()))
			}
			leak(w)
		}), "FAIL UNKNOWN"},
		{"includes of includes", one(func(w *tar.Writer) {
			imagetest.Tar(w, "etc/ld.so.conf", imagetest.Entry{Data: strings.Repeat("include ld.so.conf.d/*\ninclude /etc/ld.so.conf.d/*a*b*c*d*e\n", 1000)})
			for i := range 20_000 {
				imagetest.Tar(w, fmt.Sprint("etc/ld.so.conf.d/", i, strings.Repeat("abcd", 40)), imagetest.Entry{Data: strings.Repeat(fmt.Sprint("include *a*b*c*d*e*", i, "\n"), 20)})
			}
		}), "FAIL"},
		{"a linker cache of one long name", one(func(w *tar.Writer) {
			imagetest.Tar(w, "etc/ld.so.cache", imagetest.Entry{Data: linkerCache(1_000_000, strings.Repeat("n", 4000)+".so")})
		}), "FAIL UNKNOWN"},
		{"a linker cache of the driver", one(func(w *tar.Writer) {
			imagetest.Tar(w, "etc/ld.so.cache", imagetest.Entry{Data: linkerCache(1_000_000, "libcuda.so.1")})
		}), "FAIL"},
		{"a million empty names", one(func(w *tar.Writer) {
			for i := range 1_000_000 {
				imagetest.Tar(w, fmt.Sprintf("%x", i), imagetest.Entry{Link: fmt.Sprintf("%x", i+2_000_000)})
			}
		}), "FAIL"},
	}
}

// ndb is a database of rpm with packages of files each, all at driver names.
func ndb(packages, files int) []byte {
	le, be := binary.LittleEndian, binary.BigEndian
	out := make([]byte, 4096*(1+packages*16/4096))
	copy(out, "RpmP")
	le.PutUint32(out[12:], uint32(len(out)/4096))
	for at := 32; at < len(out); at += 16 {
		copy(out[at:], "Slot")
	}
	for id := 1; id <= packages; id++ {
		var data, index []byte
		tag := func(tag, kind, count uint32, value []byte) {
			for _, n := range []uint32{tag, kind, uint32(len(data)), count} {
				index = be.AppendUint32(index, n)
			}
			data = append(data, value...)
		}
		tag(1000, 6, 1, []byte(fmt.Sprint("p", id, "\x00")))
		tag(1001, 6, 1, []byte("1\x00"))
		tag(1002, 6, 1, []byte("1\x00"))
		var names, dirs []byte
		for i := range files {
			names = append(names, fmt.Sprint("libcuda.so.", id, ".", i, "\x00")...)
			dirs = be.AppendUint32(dirs, 0)
		}
		for len(data)%4 != 0 {
			data = append(data, 0)
		}
		tag(1116, 4, uint32(files), dirs)
		tag(1117, 8, uint32(files), names)
		tag(1118, 8, 1, []byte("/usr/lib/\x00"))
		blob := slices.Concat(be.AppendUint32(be.AppendUint32(nil, uint32(len(index)/16)), uint32(len(data))), index, data)
		slot := out[32+16*(id-1):]
		le.PutUint32(slot[4:], uint32(id))
		le.PutUint32(slot[8:], uint32(len(out)/16))
		out = append(out, "BlbS"...)
		for _, n := range []uint32{uint32(id), 0, uint32(len(blob))} {
			out = le.AppendUint32(out, n)
		}
		out = append(out, blob...)
		out = append(out, make([]byte, -len(out)&15)...)
	}
	return out
}

// linkerCache has n entries: a name, and a file that differs.
func linkerCache(n int, name string) string {
	head := make([]byte, 48)
	copy(head, "glibc-ld.so.cache1.1")
	binary.LittleEndian.PutUint32(head[20:], uint32(n))
	text := []byte(name + "\x00")
	at := uint32(len(head) + 24*n)
	nameAt := at
	for i := range n {
		entry := make([]byte, 24)
		binary.LittleEndian.PutUint32(entry[4:], nameAt)
		binary.LittleEndian.PutUint32(entry[8:], at+uint32(len(text)))
		text = append(text, fmt.Sprint("/", i, "\x00")...)
		head = append(head, entry...)
	}
	return string(head) + string(text)
}
