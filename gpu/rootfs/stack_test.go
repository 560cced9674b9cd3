// SPDX-License-Identifier: Apache-2.0

package rootfs_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu/rootfs"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
)

// named is one entry of a layer in which the order counts.
type named struct {
	name string
	imagetest.Entry
}

type layer []named

// stacked is an image of layers, the lowest first.
func stacked(layers ...layer) v1.Image {
	var blobs []v1.Layer
	for _, l := range layers {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range l {
			imagetest.Tar(w, e.name, e.Entry)
		}
		if err := w.Close(); err != nil {
			panic(err)
		}
		blobs = append(blobs, readable(imagetest.Layer(imagetest.Gzip, b.Bytes())))
	}
	img, err := mutate.AppendLayers(empty.Image, blobs...)
	if err != nil {
		panic(err)
	}
	return img
}

// shown lists what a container sees of an image: by every name what is there.
func shown(t *testing.T, root rootfs.Root) (all map[string]string) {
	t.Helper()
	scratch, target, done := t.TempDir(), t.TempDir(), make(chan error)
	go func() { // the thread has the mounts for itself, and ends with them
		runtime.LockOSThread()
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, ""); err != nil {
				return err
			}
			if _, err := root.Mount(target, scratch); err != nil {
				return err
			}
			var err error
			if all, err = list(target); err != nil {
				return err
			}
			return opens(root, target)
		}()
	}()
	switch err := <-done; {
	case errors.Is(err, unix.EPERM):
		require.Missing(t, "root", err)
	case err != nil:
		t.Fatal(err)
	}
	return all
}

func list(dir string) (map[string]string, error) {
	all, first := map[string]string{}, map[uint64]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		path, _ := filepath.Rel(dir, name)
		if err != nil || path == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s := info.Sys().(*syscall.Stat_t)
		what := fmt.Sprint(info.Mode(), s.Uid, s.Gid)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			what += " to " + target
		case info.Mode().IsRegular():
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if _, other := first[s.Ino]; !other {
				first[s.Ino] = path
			}
			what += fmt.Sprintf(" %q like %s", data, first[s.Ino])
		}
		all[path] = what
		if !info.IsDir() || info.ModTime().Year() < 2000 { // else of now: something was put there
			all[path+" is of"] = info.ModTime().String()
		}
		return nil
	})
	return all, err
}

// opens returns an error if Open finds something else than what is mounted on target.
func opens(root rootfs.Root, target string) error {
	for _, dir := range root {
		err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
			path, _ := filepath.Rel(dir, name)
			if err != nil || path == "." {
				return err
			}
			info, err := os.Lstat(filepath.Join(target, path))
			if err == nil && info.Mode()&fs.ModeSymlink != 0 {
				return nil
			}
			f, openErr := root.Open(path)
			if (err == nil) != (openErr == nil) {
				return fmt.Errorf("open %s: %w, mounted: %w", path, openErr, err)
			}
			if err != nil {
				return nil //nolint:nilerr // both
			}
			defer f.Close()
			if opened, err := f.Stat(); err != nil || opened.Mode() != info.Mode() || opened.Size() != info.Size() && !info.IsDir() {
				return fmt.Errorf("open %s: %v, %w, mounted: %v", path, opened, err, info)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// whiteouts ends the test on a disk on which overlayfs hides no files: there is nothing to
// see of layers that lie apart.
func whiteouts(t *testing.T) {
	t.Helper()
	if err := unix.Mknod(filepath.Join(t.TempDir(), "whiteout"), unix.S_IFCHR, 0); err != nil {
		require.Missing(t, "root", err)
	}
}

// layersIn is how many layers lie in a store.
func layersIn(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "layer-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func folder(name string) named     { return named{name, imagetest.Entry{Dir: true}} }
func text(name string) named       { return named{name, imagetest.Entry{Data: "content of " + name}} }
func link(name, to string) named   { return named{name, imagetest.Entry{Symlink: to}} }
func same(name, as string) named   { return named{name, imagetest.Entry{Link: as}} }
func (n named) mode(m int64) named { n.Mode = m; return n }
func (n named) owner(id int) named { n.UID = id; return n }

// TestStack: a container sees what applying the layers one by one makes. Whether layers
// can be told apart is part of the case, so that both ways are gone.
func TestStack(t *testing.T) {
	t.Parallel()
	whiteouts(t)
	many := []layer{{folder("d")}}
	for i := range 129 {
		many = append(many, layer{folder("d"), text(fmt.Sprint("d/", i)), text("last").owner(i)})
	}
	cases := map[string]struct {
		layers []layer
		apart  int // layers that lie apart, 0 if they cannot
	}{
		"removed":                {[]layer{{folder("d"), text("d/a"), text("d/b"), text("c")}, {folder("d"), text("d/.wh.a"), text(".wh.c")}}, 2},
		"removed and back":       {[]layer{{text("a")}, {text(".wh.a")}, {text("a").mode(0o600)}}, 3},
		"removed folder":         {[]layer{{folder("d"), folder("d/e"), text("d/e/f")}, {folder("d"), text("d/.wh.e")}, {folder("d"), folder("d/e"), text("d/e/g")}}, 3},
		"opaque":                 {[]layer{{folder("d"), text("d/a"), folder("d/e"), text("d/e/f")}, {folder("d"), text("d/.wh..wh..opq"), text("d/b")}}, 2},
		"opaque, then more":      {[]layer{{folder("d"), text("d/a")}, {folder("d"), text("d/.wh..wh..opq"), text("d/b")}, {folder("d"), text("d/.wh.b"), text("d/c")}}, 3},
		"opaque, at the end":     {[]layer{{folder("d"), text("d/a")}, {folder("d"), text("d/b"), text("d/.wh..wh..opq")}}, 0},
		"opaque root":            {[]layer{{text("a")}, {text(".wh..wh..opq"), text("b")}}, 0},
		"file, folder, file":     {[]layer{{text("a")}, {folder("a"), text("a/b")}, {text("a").owner(3)}}, 3},
		"folder becomes link":    {[]layer{{folder("a"), text("a/b"), folder("c"), text("c/d")}, {link("a", "c")}}, 2},
		"link becomes folder":    {[]layer{{folder("c"), text("c/d"), link("a", "c")}, {folder("a"), text("a/b")}}, 2},
		"folder, whiteout, file": {[]layer{{folder("a"), text("a/b")}, {text(".wh.a"), text("a")}}, 2},
		"new in place of old":    {[]layer{{folder("a"), text("a/b")}, {text(".wh.a"), folder("a"), text("a/c")}}, 0},
		"mode of a folder":       {[]layer{{folder("a").mode(0o700).owner(7), text("a/b")}, {folder("a").mode(0o1777), text("a/c")}}, 2},
		"hard link":              {[]layer{{text("a")}, {text("b").mode(0o751).owner(9), same("c", "b")}}, 2},
		"hard link to below":     {[]layer{{text("a").mode(0o751).owner(9)}, {same("b", "a")}}, 0},
		"through a link":         {[]layer{{folder("usr"), folder("usr/lib"), link("lib", "usr/lib")}, {text("lib/x")}}, 0},
		"removed through a link": {[]layer{{folder("usr"), folder("usr/lib"), text("usr/lib/x"), link("lib", "usr/lib")}, {text("lib/.wh.x")}}, 0},
		"through links, deep":    {[]layer{{folder("usr"), folder("usr/lib"), link("usr/lib/y", "/etc"), folder("etc")}, {folder("usr"), text("usr/lib/y/x")}}, 0},
		"through its own link":   {[]layer{{folder("a")}, {link("b", "a"), text("b/c")}}, 0},
		"not all folders":        {[]layer{{folder("usr"), folder("usr/lib"), text("usr/lib/a")}, {text("usr/lib/b"), text("opt/new/c")}}, 2},
		"not all folders, modes": {[]layer{{folder("tmp").mode(0o1777)}, {text("tmp/b")}}, 0},
		"not all folders, owner": {[]layer{{folder("home").owner(5)}, {text("home/b")}}, 0},
		"of a folder by itself":  {[]layer{{text("d/a")}, {folder("e"), text("e/.wh.nothing"), text("e/b")}}, 0},
		"the same layer twice":   {[]layer{{text("a")}, {text(".wh.a")}, {text("a")}}, 2},
		"twice in a layer":       {[]layer{{text("a")}, {text("a"), text("a").mode(0o600), text("b"), link("b", "a")}}, 2},
		"130 layers":             {many, 130},
		"more than 150 layers":   {slices.Concat(many, numbers(21)), 0},
		"no layer":               {nil, 0},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, dir := open(t)
			img := stacked(test.layers...)
			root, err := store.Unpack(t.Context(), img)
			if err != nil {
				t.Fatal(err)
			}
			if n := layersIn(t, dir); n != test.apart {
				t.Errorf("%d layers lie apart, want %d", n, test.apart)
			}
			want, err := store.Together(t.Context(), img)
			if err != nil {
				t.Fatal(err)
			}
			if diff := differ(t, want, root); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// numbers are layers of a file each.
func numbers(n int) (all []layer) {
	for i := range n {
		all = append(all, layer{text(fmt.Sprint(i))})
	}
	return all
}

// TestStackOfAnything: the same of many images that nobody would make.
func TestStackOfAnything(t *testing.T) {
	t.Parallel()
	whiteouts(t)
	apart := 0
	n := 200
	if require.Whole("root") {
		n = 500
	}
	for seed := range n {
		store, dir := open(t)
		layers := anything(rand.New(rand.NewPCG(1, uint64(seed))))
		img := stacked(layers...)
		root, err := store.Unpack(t.Context(), img)
		want, wantErr := store.Together(t.Context(), img)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v\nUnpack: %v, one by one: %v", layers, err, wantErr)
		}
		if err != nil {
			continue
		}
		if layersIn(t, dir) > 1 {
			apart++
		}
		if diff := differ(t, want, root); diff != "" {
			t.Fatalf("seed %d, %v\n%s", seed, layers, diff)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if apart < n/10 {
		t.Errorf("%d of %d images have layers that lie apart, want more to be told anything", apart, n)
	}
}

// anything is an image of a few names.
func anything(r *rand.Rand) (layers []layer) {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	name := func() string {
		return strings.Join([]string{one("a", "b"), one("a", "c"), one("b", "c")}[:1+r.IntN(3)], "/")
	}
	for i := range 2 + r.IntN(3) {
		var l layer
		for range 1 + r.IntN(5) {
			n := name()
			if r.IntN(5) > 0 && slices.ContainsFunc(l, func(e named) bool { return e.name == n }) {
				continue // most archives say things once
			}
			e := text(n)
			switch r.IntN(20) {
			case 0, 1, 2, 3:
				e = folder(n)
			case 4:
				e = link(n, one("a", "../b", "/a/c", "b/c"))
			case 5:
				e = same(n, name())
			case 6, 7, 8, 9, 10:
				if i > 0 {
					e = text(filepath.Join(filepath.Dir(n), ".wh."+filepath.Base(n)))
				}
			case 11:
				e = text(n + "/.wh..wh..opq")
			}
			if r.IntN(8) == 0 {
				e = e.mode(0o700)
			}
			if r.IntN(8) == 0 {
				e = e.owner(i + 1)
			}
			if r.IntN(6) > 0 { // and make their folders
				for i, c := range e.name {
					if f := folder(e.name[:i]); c == '/' && !slices.Contains(l, f) {
						l = append(l, f)
					}
				}
			}
			l = append(l, e)
		}
		layers = append(layers, l)
	}
	return layers
}

// differ is what a container sees otherwise than it should. The time of a folder may be
// that of unpacking.
func differ(t *testing.T, want, got rootfs.Root) string {
	t.Helper()
	a, b := shown(t, want), shown(t, got)
	for name := range a {
		if _, same := b[name]; !same && strings.HasSuffix(name, " is of") {
			delete(a, name)
		}
	}
	return cmp.Diff(a, b)
}

// TestUnpackShares: images that have a layer in common have one copy of it, and nothing
// that is there is unpacked again.
func TestUnpackShares(t *testing.T) {
	t.Parallel()
	whiteouts(t)
	store, dir := open(t)
	base := layer{folder("d"), text("d/a")}
	first, err := store.Unpack(t.Context(), stacked(base, layer{text("b")}))
	if err != nil {
		t.Fatal(err)
	}
	second, err := store.Unpack(t.Context(), stacked(base, layer{folder("d"), text("d/.wh.a")}))
	if err != nil || layersIn(t, dir) != 3 || first[1] != second[1] {
		t.Errorf("%v and %v, %v, %d layers, want that they share one of three", first, second, err, layersIn(t, dir))
	}
	before, err := os.Stat(first[0])
	if err != nil {
		t.Fatal(err)
	}
	again, err := store.Unpack(t.Context(), stacked(base, layer{text("b")}))
	if err != nil || !slices.Equal(again, first) {
		t.Fatalf("again %v, %v, want %v", again, err, first)
	}
	if after, err := os.Stat(again[0]); err != nil || !os.SameFile(before, after) {
		t.Errorf("unpacked again: %v", err)
	}
}

// TestUnpackTakesOldRoots: what a version that knew no layers has unpacked is used.
func TestUnpackTakesOldRoots(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	img := stacked(layer{text("a")})
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, digest.Hex)
	if err := os.Mkdir(old, 0o755); err != nil {
		t.Fatal(err)
	}
	if root, err := store.Unpack(t.Context(), img); err != nil || !slices.Equal(root, rootfs.Root{old}) {
		t.Errorf("Unpack = %v, %v, want %v", root, err, old)
	}
}

// TestUnpackTakesNoAttributes: what tells overlayfs to hide, or to look elsewhere, comes
// from whiteouts alone.
func TestUnpackTakesNoAttributes(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755, PAXRecords: map[string]string{
		"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.trusted.overlay.redirect": "/e",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	below := readable(imagetest.Layer(imagetest.Gzip, imagetest.Files(entries{"d": {Dir: true}, "d/a": {Data: "a"}})))
	root, err := store.Unpack(t.Context(), imagetest.New(below, readable(imagetest.Layer(imagetest.Gzip, b.Bytes()))))
	if err != nil {
		t.Fatal(err)
	}
	if len(root) != 2 || shown(t, root)["d/a"] == "" {
		t.Errorf("%v: d/a is hidden", root)
	}
	if n, err := unix.Llistxattr(filepath.Join(root[0], "d"), nil); n > 0 || err != nil {
		t.Errorf("d has %d bytes of attributes, %v", n, err)
	}
}

// TestUnpackAllOrNothing: a layer that is not what it should be takes the others along.
func TestUnpackAllOrNothing(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	good := readable(imagetest.Layer(imagetest.Gzip, imagetest.Files(entries{"a": {Data: "a"}})))
	lie := *good
	lie.Diff = imagetest.Digest([]byte("another"))
	if _, err := store.Unpack(t.Context(), imagetest.New(good, &lie)); err == nil || !strings.Contains(err.Error(), "layer 1: content has digest") {
		t.Errorf("Unpack: %v, want that layer 1 has another digest", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 { // the lock
		t.Errorf("left behind: %v", left)
	}
}

// TestOpenFollows links through all layers, and stays inside.
func TestOpenFollows(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	root, err := store.Unpack(t.Context(), stacked(
		layer{folder("usr"), folder("usr/etc"), text("usr/etc/passwd"), link("etc", "/usr/etc"), link("loop", "loop"), link("up", "../../../../usr/etc/passwd")},
		layer{folder("usr"), folder("usr/etc"), text("usr/etc/group"), link("usr/etc/other", "../../etc/group"), link("out", "/proc/version"), text("gone")},
		layer{text(".wh.gone")},
	))
	if err != nil {
		t.Fatal(root, err)
	}
	for name, want := range map[string]string{
		"etc/passwd": "usr/etc/passwd", "etc/group": "usr/etc/group", "/etc/other": "usr/etc/group", "up": "usr/etc/passwd",
	} {
		if got, err := read(root, name); err != nil || got != "content of "+want {
			t.Errorf("%s = %q, %v, want that of %s", name, got, err, want)
		}
	}
	for name, want := range map[string]error{"loop": unix.ELOOP, "out": fs.ErrNotExist, "gone": fs.ErrNotExist, "etc/absent": fs.ErrNotExist, "etc/passwd/x": fs.ErrNotExist} {
		if got, err := read(root, name); !errors.Is(err, want) {
			t.Errorf("%s = %q, %v, want %v", name, got, err, want)
		}
	}
}

// TestUnpackWhatIsHostile: names that are long or deep take neither time nor memory.
func TestUnpackWhatIsHostile(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	if _, err := store.Unpack(t.Context(), stacked(layer{text(strings.Repeat("a/", 50_000) + "f")})); err == nil || len(err.Error()) > 500 {
		t.Errorf("a name of 100 kB: %.500v", err)
	}
	deep := func(name string) named { return text("000/" + strings.Repeat("a/", 900) + name) }
	root, err := store.Unpack(t.Context(), stacked(layer{deep("f")}, layer{deep("g")}))
	if err != nil || layersIn(t, dir) != 0 {
		t.Errorf("a deep name: %v, %v, want one folder for the image", root, err)
	}
}

// TestUnpackHeals: the folder of a layer that somebody has damaged is unpacked again.
func TestUnpackHeals(t *testing.T) {
	t.Parallel()
	whiteouts(t)
	store, dir := open(t)
	img := stacked(layer{text("a")}, layer{text("b")})
	root, err := store.Unpack(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(root[0]); err != nil {
		t.Fatal(err)
	}
	footings, _ := filepath.Glob(filepath.Join(dir, "layer-*", "footing.json"))
	if err := os.WriteFile(footings[0], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := store.Unpack(t.Context(), img); err != nil || !slices.Equal(again, root) {
		t.Errorf("%v, %v, want %v again", again, err, root)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := read(root, name); err != nil {
			t.Error(err)
		}
	}
}

// TestUnpackRepeats: a layer that stands twice in an image must fit what is below each.
func TestUnpackRepeats(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	a, b := layer{folder("usr"), folder("usr/lib"), link("lib", "usr/lib")}, layer{text("lib/x")}
	root, err := store.Unpack(t.Context(), stacked(a, b, a))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(root, "usr/lib/x"); err != nil {
		t.Errorf("%v in %v", err, root)
	}
}
