// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify/tree"
)

type files = map[string]imagetest.Entry

func image(layers ...files) v1.Image {
	var blobs []*imagetest.Blob
	for _, l := range layers {
		blobs = append(blobs, imagetest.Layer(imagetest.Zstd, imagetest.Files(l)))
	}
	return imagetest.New(blobs...)
}

func text(s string) imagetest.Entry { return imagetest.Entry{Data: s} }

func pair(t *testing.T, old, now v1.Image) (*tree.Tree, *tree.Tree) {
	t.Helper()
	a, b, err := tree.NewReader().Pair(t.Context(), old, now)
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

// TestCompare holds what a container sees of layers: each case has the paths that differ, "+" of the new side alone, "-" of the old.
func TestCompare(t *testing.T) {
	t.Parallel()
	base := files{"etc/a": text("a"), "etc/b": text("b"), "opt/x/y": text("y")}
	for _, c := range []struct {
		name     string
		old, now []files
		want     []string
	}{
		{"the same in other layers", []files{{"a": text("1")}, {"b": text("2")}}, []files{{"a": text("1"), "b": text("2")}}, nil},
		{"content of the same size", []files{{"a": text("1")}}, []files{{"a": text("2")}}, []string{"a"}},
		{"mode", []files{{"a": text("1")}}, []files{{"a": {Data: "1", Mode: 0o600}}}, []string{"a"}},
		{"a whiteout", []files{base}, []files{base, {"etc/.wh.a": {}}}, []string{"-etc/a"}},
		{"a whiteout by overlayfs", []files{base}, []files{base, {"etc/a": {Device: &imagetest.Device{}}}}, []string{"-etc/a"}},
		{"a whiteout and a new file", []files{base}, []files{base, {"etc/.wh.a": {}, "etc/a": text("a")}}, nil},
		{"an opaque folder", []files{base}, []files{base, {"etc/.wh..wh..opq": {}, "etc/c": text("c")}}, []string{"-etc/a", "-etc/b", "+etc/c"}},
		{"a file over a folder", []files{base}, []files{base, {"opt/x": text("x")}}, []string{"opt/x", "-opt/x/y"}},
		{"a reserved name", []files{base}, []files{base, {"etc/.wh..wh.plnk": {}}}, nil},
		{"through a linked folder", []files{{"usr/lib/z": text("1"), "lib": {Symlink: "usr/lib"}}}, []files{{"usr/lib/z": text("1"), "lib": {Symlink: "usr/lib"}}, {"lib/z": text("2")}}, []string{"usr/lib/z"}},
		{"hidden through a linked folder", []files{{"usr/lib/z": text("1"), "lib": {Symlink: "/usr/lib"}}}, []files{{"usr/lib/z": text("1"), "lib": {Symlink: "/usr/lib"}}, {"lib/.wh.z": {}}}, []string{"-usr/lib/z"}},
		{"links in a circle", []files{{"a": {Symlink: "b"}, "b": {Symlink: "a"}}}, []files{{"a": {Symlink: "b"}, "b": {Symlink: "a"}}, {"a/c": text("c")}}, nil},
		{"a hard link and a copy", []files{{"a": text("1"), "b": {Link: "a"}}}, []files{{"a": text("1"), "b": text("1")}}, []string{"b"}},
		{"hard links, named otherwise", []files{{"a": text("1")}, {"b": {Link: "a"}}}, []files{{"b": text("1")}, {"a": {Link: "b"}}}, nil},
		{"a hard link to a layer below", []files{{"a": text("1")}, {"b": text("1")}}, []files{{"a": text("1")}, {"b": {Link: "a"}}}, []string{"b"}},
		{"a link through what another link leads to", []files{{"p/q/f": text("1"), "a": {Symlink: "p/q"}, "l": {Symlink: "a/../g"}, "p/g/x": text("1")}}, []files{{"p/q/f": text("1"), "a": {Symlink: "p/q"}, "l": {Symlink: "a/../g"}, "p/g/x": text("1")}, {"l/x": text("2")}}, []string{"p/g/x"}},
		{"a file over a folder of a common layer, and a folder", []files{{"x/y": text("y")}, {"x": text("x")}}, []files{{"x/y": text("y")}, {"x": {Dir: true, Mode: 0o755}}}, []string{"x", "+x/y"}},
		{"a folder of a common layer made a link", []files{{"x/y": text("y"), "z/y": text("z")}, {"x": {Symlink: "z"}, "x/y": text("1")}}, []files{{"x/y": text("y"), "z/y": text("z")}, {"x": {Symlink: "z"}, "x/y": text("2")}}, []string{"z/y"}},
		{"a target", []files{{"a": {Symlink: "x"}}}, []files{{"a": {Symlink: "y"}}}, []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := pair(t, image(c.old...), image(c.now...))
			var got []string
			tree.Compare(a, b, func(path string, old, now *tree.Node) {
				sign := map[bool]string{old == nil: "+", now == nil: "-"}[true]
				got = append(got, sign+path)
			})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCommonLayersAreNotRead: the lowest layers that both have are read only if something has to be known of them.
func TestCommonLayersAreNotRead(t *testing.T) {
	t.Parallel()
	shared := imagetest.Layer(imagetest.Gzip, imagetest.Files(files{"a": text("1")}))
	shared.Gone = true
	shared.Data = []byte("no archive")
	layer := func(s string) *imagetest.Blob {
		return imagetest.Layer(imagetest.Plain, imagetest.Files(files{"b": text(s)}))
	}
	a, b := pair(t, imagetest.New(shared, layer("1")), imagetest.New(shared, layer("2")))
	n := 0
	tree.Compare(a, b, func(string, *tree.Node, *tree.Node) { n++ })
	if n != 1 {
		t.Errorf("%d paths differ, want b alone", n)
	}
	more := imagetest.Layer(imagetest.Plain, imagetest.Files(files{"c": text("1")}))
	if _, _, err := tree.NewReader().Pair(t.Context(), imagetest.New(shared, layer("1")), imagetest.New(shared, more)); err == nil {
		t.Error("another path: want the error of the layer below")
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	status := "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n\n"
	below := files{
		"bin": {Symlink: "usr/bin"}, "usr/bin/bash": text("program"), "var/lib/dpkg/status": text(status),
		"var/lib/dpkg/info/bash.list": text("/.\n/bin\n/bin/bash\n"),
	}
	above := files{
		"var/lib/dpkg/status": text(strings.Replace(status, "5.2", "5.3", 1)), "usr/bin/bash": text("newer"),
		"lib/apk/db/installed": text("C:Q1\nP:musl\nV:1.2\nA:x86_64\nF:lib\nR:ld.so\n\n"), "lib/ld.so": text("x"),
	}
	a, b := pair(t, image(below), image(below, above))
	var got []string
	for _, t := range []*tree.Tree{a, b} {
		for _, p := range t.Packages() {
			got = append(got, fmt.Sprint(p))
		}
		owners := t.Owners()
		got = append(got, fmt.Sprint(owners["usr/bin/bash"], owners["lib/ld.so"]))
	}
	want := []string{"{dpkg bash amd64 5.2}", "[{dpkg bash}] []", "{apk musl x86_64 1.2}", "{dpkg bash amd64 5.3}", "[{dpkg bash}] [{apk musl}]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRecordTwice: of two records of one path in one layer only the later one is seen, as of all files.
func TestRecordTwice(t *testing.T) {
	t.Parallel()
	status := func(version string) []byte {
		return imagetest.Files(files{"var/lib/dpkg/status": text("Package: bash\nStatus: install ok installed\nVersion: " + version + "\n\n")})
	}
	first := bytes.TrimRight(status("1"), "\x00")
	twice := append(append(first, make([]byte, (512-len(first)%512)%512)...), status("2")...)
	a, _ := pair(t, imagetest.New(imagetest.Layer(imagetest.Plain, twice)), imagetest.New())
	if got := fmt.Sprint(a.Packages()); got != "[{dpkg bash  2}]" {
		t.Errorf("packages %s, want bash 2 alone", got)
	}
}

// TestBounds: a small blob that asks for folders without end is refused, before it takes memory.
func TestBounds(t *testing.T) {
	t.Parallel()
	deep := strings.TrimSuffix(strings.Repeat("a/", 1990), "/")
	wide, chain := files{}, files{}
	for i := range 2000 {
		wide[fmt.Sprintf("%d/%s/f", i, deep)] = text("")
	}
	for i, at := 0, ""; i < 3; i++ {
		chain[at+deep] = imagetest.Entry{Dir: true, Mode: 0o755}
		chain[fmt.Sprint("0l", i)] = imagetest.Entry{Symlink: at + deep} // sorted before what lies beyond it
		at = fmt.Sprintf("0l%d/", i)
	}
	for name, c := range map[string]struct {
		files files
		want  string
	}{
		"many deep folders": {wide, "take more than 1024 MiB of memory"},
		"deep by links":     {chain, "a path of more than 4096 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := image(c.files)
			_, _, err := tree.NewReader().Pair(t.Context(), bad, image(files{"end": text("1")}))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			config, failed := bad.ConfigFile()
			if layer := (*tree.LayerError)(nil); failed != nil || !errors.As(err, &layer) || layer.DiffID != config.RootFS.DiffIDs[0].String() {
				t.Errorf("error %v, want a LayerError of the first image", err)
			}
		})
	}
}

// TestPairBound: all layers of both images together are bounded, with the files that records of packages list; layers that are
// known from an earlier pair count, those of other images do not.
func TestPairBound(t *testing.T) {
	t.Parallel()
	layer := func(name string, n int) files {
		all := files{}
		for i := range n {
			all[fmt.Sprint(name, i)] = text("")
		}
		return all
	}
	list := files{"var/lib/dpkg/info/a.list": text(strings.Repeat("/a\n", 40))}
	old := image(layer("a", 10), layer("b", 10))
	for name, c := range map[string]struct {
		now  v1.Image
		most int
		want string
	}{
		"room for all":        {image(layer("c", 10), layer("d", 10)), 40 * 260, ""},
		"too many layers":     {image(layer("c", 10), layer("d", 10)), 40*260 - 100, "takes too much memory"},
		"too long a list":     {image(list), 60 * 260, "takes too much memory"},
		"room for the list":   {image(list), 62 * 260, ""},
		"layers in both once": {image(layer("c", 10), layer("b", 10)), 30 * 260, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tree.NewReaderWithin(c.most)
			for range 2 { // the second time nothing, or what failed, is to be read
				_, _, err := r.Pair(t.Context(), old, c.now)
				layer := (*tree.LayerError)(nil)
				if got := fmt.Sprint(err); (err == nil) != (c.want == "") || err != nil && (!strings.Contains(got, c.want) || !errors.As(err, &layer)) {
					t.Errorf("error %v, want %q", err, c.want)
				}
			}
		})
	}
}

// FuzzPair: whatever the archive of a layer holds, an image differs in nothing from itself, comparing it ends, and what comes of it is within bounds.
func FuzzPair(f *testing.F) {
	f.Add(imagetest.Files(files{"a/b": text("1"), "c": {Symlink: "../a"}, "c/d": text("2"), "e": {Link: "a/b"}, "a/.wh.b": {}}))
	f.Add(imagetest.Files(files{"var/lib/dpkg/status": text("Package: a\nVersion: 1\n\n"), "var/lib/rpm/Packages.db": text("RpmP")}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		below := imagetest.Layer(imagetest.Plain, imagetest.Files(files{"a/b": text("0"), "x": {Symlink: "a"}}))
		layer, same := imagetest.Layer(imagetest.Plain, archive), imagetest.Layer(imagetest.Gzip, archive)
		end := imagetest.Layer(imagetest.Plain, imagetest.Files(files{"end": text("1")}))
		other := imagetest.Layer(imagetest.Plain, imagetest.Files(files{"end": text("2")}))
		a, b, err := tree.NewReader().Pair(t.Context(), imagetest.New(below, layer, end), imagetest.New(below, same, other))
		if err != nil {
			return
		}
		tree.Compare(a, b, func(path string, _, _ *tree.Node) {
			if path != "end" {
				t.Errorf("%q differs", path)
			}
		})
		a.Packages()
		a.Owners()
		empty, _ := pair(t, imagetest.New(), imagetest.New())
		total := 0
		tree.Compare(empty, a, func(path string, _, _ *tree.Node) {
			if total += len(path); len(path) > 4096 || total > 1<<30 {
				t.Fatalf("a path of %d bytes, %d bytes of all", len(path), total)
			}
		})
	})
}

// TestNanoseconds: container runtimes keep the part of a second that a PAX header has.
func TestNanoseconds(t *testing.T) {
	t.Parallel()
	at := func(nanos int64) v1.Image {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: "a", Mode: 0o644, ModTime: time.Unix(1, nanos), Format: tar.FormatPAX}), w.Close()); err != nil {
			t.Fatal(err)
		}
		return imagetest.New(imagetest.Layer(imagetest.Plain, archive.Bytes()))
	}
	old, now := pair(t, at(0), at(5))
	var got [][2]int64
	tree.Compare(old, now, func(_ string, a, b *tree.Node) { got = append(got, a.Time, b.Time) })
	if want := [][2]int64{{1, 0}, {1, 5}}; !cmp.Equal(got, want) {
		t.Errorf("times that differ %v, want %v", got, want)
	}
}
