// SPDX-License-Identifier: Apache-2.0

package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/gpu/rootfs"
)

// TestLookUp: users and groups are found as docker finds them, and an entry whose numbers
// are none, or too large, is nobody and above all not root.
func TestLookUp(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	passwd := "root:x:0:0::/root:/bin/sh\n# comment\n\napp:x:1000:1001::/home/app:/bin/sh\nlast:x:4294967294:4294967294::/:\n" +
		"evil:x:4294967296:0\nwrap:x:8589934592:1::/:\nhuge:x:99999999999999999999:1::/:\nminus:x:-1:1::/:\nword:x:abc:1::/:\nhex:x:0x0:1::/:\nnone:x::1::/:\n" +
		"plus:x:+0:1::/:\nspace:x: 0:1::/:\nnobody:x:4294967295:1::/:\nshort:x\ngid:x:5:4294967296::/:\nmember:x:7:7::/:\n123:x:9:9::/:\n"
	group := "root:x:0:\napp:x:1001:\nmore:x:1002:app,other\nevil:x:4294967296:member\nwrap:x:4294967296:\n"
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"passwd": passwd, "group": group} {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	good := map[string]identity{
		"":           {0, 0, []uint32{0}},
		"root":       {0, 0, []uint32{0}},
		"0":          {0, 0, []uint32{0}},
		"app":        {1000, 1001, []uint32{1001, 1002}},
		"1000":       {1000, 1001, []uint32{1001, 1002}},
		"app:more":   {1000, 1002, []uint32{1002}},
		"app:55":     {1000, 55, []uint32{55}},
		"4000":       {4000, 0, []uint32{0}},
		"4000:app":   {4000, 1001, []uint32{1001}},
		"4000:4001":  {4000, 4001, []uint32{4001}},
		"last":       {4294967294, 4294967294, []uint32{4294967294}},
		"4294967294": {4294967294, 4294967294, []uint32{4294967294}},
		"123":        {9, 9, []uint32{9}}, // a name goes first
	}
	for user, want := range good {
		got, err := lookUp(rootfs.Root{root}, user)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(identity{})); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", user, err, diff)
		}
	}
	for _, user := range []string{
		"evil", "wrap", "huge", "minus", "word", "hex", "none", "plus", "space", "nobody", "short", "gid", "member",
		"4294967296", "4294967295", "18446744073709551616", "-1", "+0", "0x0", " 0", "absent", "app:wrap", "app:4294967296", "app:absent", "app:", ":app", "app:1:2", ":",
	} {
		if got, err := lookUp(rootfs.Root{root}, user); err == nil || !strings.Contains(err.Error(), "user ") {
			t.Errorf("%q: %+v, %v, want an error", user, got, err)
		}
	}
	empty := t.TempDir()
	if got, err := lookUp(rootfs.Root{empty}, "1:2"); err != nil || got.uid != 1 || got.gid != 2 {
		t.Errorf("numbers in an image without users: %+v, %v", got, err)
	}
	if _, err := lookUp(rootfs.Root{empty}, "app"); err == nil || !strings.Contains(err.Error(), "not in the image") {
		t.Errorf("a name in an image without users: %v", err)
	}
}

// TestLookUpStaysInside: the files are the image's, wherever its links lead.
func TestLookUpStaysInside(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(outside, []byte("app:x:1:1::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "usr/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "usr/lib/passwd"), []byte("inside:x:2:2::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "etc/passwd")
	for target, user := range map[string]string{outside: "", "../../../../../../.." + outside: "", "/usr/lib/passwd": "inside", "../usr/lib/passwd": "inside", "/dev/zero": ""} {
		_ = os.Remove(link)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if _, err := lookUp(rootfs.Root{root}, "app"); err == nil {
			t.Errorf("%s: a user of the host's was found", target)
		}
		if _, err := lookUp(rootfs.Root{root}, "inside"); (err == nil) != (user != "") {
			t.Errorf("%s: %v", target, err)
		}
	}
}
