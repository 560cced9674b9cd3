// SPDX-License-Identifier: Apache-2.0

package rootfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/gpu/rootfs"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
)

type entries = map[string]imagetest.Entry

func TestUnpack(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	img := picture(
		entries{"etc/os-release": {Data: "ID=debian\n"}, "usr/lib/a": {Data: "a"}, "usr/bin/su": {Data: "su", Mode: 0o4755}, "gone/x": {Data: "x"}},
		entries{"gone/.wh..wh..opq": {}, "usr/lib/.wh.a": {}, "usr/lib/b": {Link: "etc/os-release"}, "lib": {Symlink: "usr/lib"}},
	)
	root, err := store.Unpack(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"etc/os-release": "ID=debian\n", "lib/b": "ID=debian\n", "usr/bin/su": "su"} {
		if got, err := read(root, name); err != nil || got != want {
			t.Errorf("%s = %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"gone/x", "usr/lib/a", "usr/lib/.wh.a"} {
		if _, err := read(root, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want that it does not exist", name, err)
		}
	}
	if su := shown(t, root)["usr/bin/su"]; !strings.HasPrefix(su, "-rwxr-xr-x") {
		t.Errorf("su is %s, want no set-user-ID bit", su)
	}
	again, err := store.Unpack(t.Context(), img)
	if err != nil || !slices.Equal(again, root) {
		t.Errorf("Unpack again = %q, %v, want %q", again, err, root)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}

// TestUnpackStaysInside: whatever an image says, nothing outside of its folder is
// written, linked or read.
func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	cases := map[string][]entries{
		"parent":            {{"../../escaped": {Data: "x"}}},
		"absolute":          {{"/escaped": {Data: "x"}}},
		"link then file":    {{"a": {Symlink: "../.."}}, {"a/escaped": {Data: "x"}}},
		"absolute link":     {{"a": {Symlink: "OUTSIDE"}}, {"a/escaped": {Data: "x"}}},
		"link to the root":  {{"a": {Symlink: "/"}}, {"a/../escaped": {Data: "x"}}},
		"hard link outside": {{"a": {Link: "../../secret"}}},
		"hard link by link": {{"d": {Symlink: "../.."}}, {"a": {Link: "d/secret"}}},
		"whiteout outside":  {{"d": {Symlink: "../.."}}, {"d/.wh.secret": {}}},
		"opaque outside":    {{"d": {Symlink: "../.."}}, {"d/.wh..wh..opq": {}}},
		"dots as whiteout":  {{".wh...": {}}},
	}
	for name, layers := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside := t.TempDir()
			secret := filepath.Join(outside, "secret")
			if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, layer := range layers {
				for path, e := range layer {
					e.Symlink = strings.Replace(e.Symlink, "OUTSIDE", outside, 1)
					layer[path] = e
				}
			}
			store, err := rootfs.Open(filepath.Join(outside, "store"))
			if err != nil {
				t.Fatal(err)
			}
			root, err := store.Unpack(t.Context(), picture(layers...)) // an error is as good
			if data, readErr := os.ReadFile(secret); readErr != nil || string(data) != "secret" {
				t.Errorf("the file outside: %q, %v", data, readErr)
			}
			missing(t, filepath.Join(outside, "escaped"))
			missing(t, filepath.Join(outside, "store", "escaped"))
			if err == nil && strings.HasPrefix(shown(t, root)["a"], "-") {
				t.Errorf("a is a file: linked from outside")
			}
		})
	}
}

func TestUnpackLeavesDevicesOut(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	root, err := store.Unpack(t.Context(), picture(entries{"dev/mem": {Device: &imagetest.Device{Major: 1, Minor: 1}}, "x": {Device: &imagetest.Device{}}}))
	if err != nil {
		t.Fatal(err)
	}
	if all := shown(t, root); len(all) > 0 {
		t.Errorf("the image shows %v, want nothing", all)
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	good := imagetest.Layer(imagetest.Gzip, imagetest.Files(entries{"a": {Data: strings.Repeat("a", 5000)}}))
	lie, short := *good, *good
	lie.Diff = imagetest.Digest([]byte("another"))
	short.Data = short.Data[:len(short.Data)-10]
	cases := map[string]struct {
		layer *imagetest.Blob
		max   int64
		want  string
	}{
		"other content": {&lie, 1 << 20, "the configuration says"},
		"cut off":       {&short, 1 << 20, "unexpected EOF"},
		"too big":       {good, 4096, "bytes that an image may have"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, dir := open(t)
			store.MaxBytes = test.max
			_, err := store.Unpack(t.Context(), imagetest.New(readable(test.layer)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Unpack: %v, want %q", err, test.want)
			}
			left, _ := os.ReadDir(dir)
			if len(left) != 1 { // the lock
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestUnpackLarge: a file goes through more blocks than are under way.
func TestUnpackLarge(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	var want strings.Builder
	for i := range 1 << 18 {
		fmt.Fprintln(&want, i*i)
	}
	root, err := store.Unpack(t.Context(), picture(entries{"a": {Data: want.String()}, "b": {Data: "b"}}))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(root, "a"); err != nil || got != want.String() {
		t.Errorf("a has %d bytes, %v, want %d of the image's", len(got), err, want.Len())
	}
}

// TestUnpackEnds: nothing is left of what the caller does not want any more.
func TestUnpackEnds(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Unpack(ctx, picture(entries{"a": {Data: "a"}}, entries{"b": {Data: "b"}})); !errors.Is(err, context.Canceled) {
		t.Errorf("Unpack: %v, want %v", err, context.Canceled)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) > 1 { // the lock
		t.Errorf("left behind: %v", found)
	}
}

// TestOpenClears what an unpacking that was killed has left.
func TestOpenClears(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "abc.new", "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := rootfs.Open(dir); err != nil {
		t.Fatal(err)
	}
	missing(t, filepath.Join(dir, "abc.new"))
}

func open(t *testing.T) (*rootfs.Store, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		require.Missing(t, "root", errors.New("files of other users need root"))
	}
	dir := t.TempDir()
	store, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return store, dir
}

func picture(layers ...entries) v1.Image {
	var blobs []*imagetest.Blob
	for _, files := range layers {
		blobs = append(blobs, readable(imagetest.Layer(imagetest.Gzip, imagetest.Files(files))))
	}
	return imagetest.New(blobs...)
}

func readable(b *imagetest.Blob) *imagetest.Blob {
	b.Plain = true
	return b
}

func read(root rootfs.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	return string(data), err
}

func missing(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v, want that it does not exist", name, err)
	}
}

// TestOpenTakesNoPattern: a folder named like one clears nothing of its neighbour's.
func TestOpenTakesNoPattern(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	neighbour, own := filepath.Join(dir, "neighbour", "a.new"), filepath.Join(dir, "neighbou[r]", "b.new")
	for _, name := range []string{neighbour, own} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rootfs.Open(filepath.Dir(own)); err != nil {
		t.Fatal(err)
	}
	missing(t, own)
	if _, err := os.Stat(neighbour); err != nil {
		t.Errorf("removed its neighbour's: %v", err)
	}
}

// TestUnpackBoundsWhatIsWritten: not what an archive holds is bounded but what comes out
// of it, and the folders and empty files that cost a disk more than they say.
func TestUnpackBoundsWhatIsWritten(t *testing.T) {
	t.Parallel()
	many := entries{}
	for i := range 100 {
		many[fmt.Sprintf("d%d", i)] = imagetest.Entry{Dir: true}
		many[fmt.Sprintf("f%d", i)] = imagetest.Entry{}
	}
	cases := map[string][]byte{
		"one sparse file":      sparse(t, "a", 1<<30),
		"several sparse files": append(sparse(t, "a", 3<<18)[:2048], sparse(t, "b", 3<<18)...),
		"inodes":               imagetest.Files(many),
	}
	for name, archive := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, dir := open(t)
			store.MaxBytes = 1 << 20
			if name == "inodes" {
				store.MaxBytes = 400 << 10
			}
			img := imagetest.New(readable(imagetest.Layer(imagetest.Gzip, archive)))
			if _, err := store.Unpack(t.Context(), img); err == nil || !strings.Contains(err.Error(), "bytes that an image may have") {
				t.Errorf("Unpack: %v, want that it is too big", err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 { // the lock
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestUnpackTakesSparse files that are not too big.
func TestUnpackTakesSparse(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	root, err := store.Unpack(t.Context(), imagetest.New(readable(imagetest.Layer(imagetest.Gzip, sparse(t, "a", 3<<18)))))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := read(root, "a"); err != nil || len(data) != 3<<18 {
		t.Errorf("a: %d bytes, %v", len(data), err)
	}
}

// TestUnpackLeavesRoom: an image that the store allows may still be too big for the disk.
func TestUnpackLeavesRoom(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	store.MaxBytes = 1 << 62
	img := imagetest.New(readable(imagetest.Layer(imagetest.Gzip, sparse(t, "a", 1<<50))))
	if _, err := store.Unpack(t.Context(), img); err == nil || !strings.Contains(err.Error(), "bytes that an image may have") {
		t.Errorf("Unpack: %v, want that there is no room", err)
	}
}

// sparse is an archive of 2 KB with a file of that size, as GNU tar writes it (pax, version 1.0).
func sparse(t *testing.T, name string, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	record := func(key, value string) string {
		n := len(key) + len(value) + 3
		for len(fmt.Sprint(n))+len(key)+len(value)+3 != n {
			n = len(fmt.Sprint(n)) + len(key) + len(value) + 3
		}
		return fmt.Sprintf("%d %s=%s\n", n, key, value)
	}
	records := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", name) + record("GNU.sparse.realsize", fmt.Sprint(size))
	header := func(typeflag byte, name, data string) {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], "0000644\x00")
		copy(h[108:], "0000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x00", len(data)))
		copy(h[136:], "00000000000\x00")
		h[156] = typeflag
		copy(h[257:], "ustar\x0000")
		copy(h[148:], "        ")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		b.Write(h)
		b.WriteString(data)
		b.Write(make([]byte, (512-len(data)%512)%512))
	}
	header('x', "PaxHeaders/x", records)
	regions := fmt.Sprintf("1\n%d\n0\n", size) // no data but the end
	header('0', "GNUSparseFile.0/x", regions+strings.Repeat("\x00", 512-len(regions)))
	b.Write(make([]byte, 1024))
	return b.Bytes()
}

// TestWaitEnds: who waits for another process's unpacking can be interrupted.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	store, dir := open(t)
	lock, err := files.TryLock(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := store.Unpack(ctx, picture(entries{"a": {}})); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Unpack: %v, want the end of the context", err)
	}
	if _, err := rootfs.Open(dir); err != nil {
		t.Errorf("Open: %v, want that it does not wait", err)
	}
	if _, err := rootfs.Quiet(dir); !errors.Is(err, rootfs.ErrBusy) {
		t.Errorf("Quiet: %v, want that it is busy", err)
	}
}

// unasked is an image whose layers would read all that they hold to say what it hashes to, as those of
// a layout do.
type unasked struct{ v1.Image }

type unaskedLayer struct{ v1.Layer }

func (unaskedLayer) DiffID() (v1.Hash, error) { return v1.Hash{}, errors.New("read once more") }

func (u unasked) Layers() ([]v1.Layer, error) {
	layers, err := u.Image.Layers()
	for i, l := range layers {
		layers[i] = unaskedLayer{l}
	}
	return layers, err
}

// TestUnpackReadsOnce: the configuration says what the layers hash to.
func TestUnpackReadsOnce(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	for _, top := range []entries{{"b": {Data: "b"}}, {"b": {Link: "a"}}} { // apart and together
		if _, err := store.Unpack(t.Context(), unasked{picture(entries{"a": {Data: "a"}}, top)}); err != nil {
			t.Error(err)
		}
	}
}
