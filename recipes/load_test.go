// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

const (
	goodOS      = "os: myos\ntitle: My OS\nsource: debian\nmanager: apt\nbootstrap: {suite: mine}\n"
	goodManager = "manager: mine\ninstall: true\nmounts: [{path: /tmp, kind: tmpfs}]\n"
	goodRelease = `cuda: "12.6"
source: debian
os: [debian13]
platforms: [linux/amd64]
version: "12.6.3"
layers: {base: {packages: [a]}, runtime: {packages: [b]}, devel: {packages: [c]}}
samples: {sass: [50], ptx: 90}
`
)

// dir makes a recipes directory of these files.
func dir(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOverlayAdds(t *testing.T) {
	t.Parallel()
	c := load(t, dir(t, map[string]string{
		"os/myos.yaml":     goodOS,
		"cuda/mine.yaml":   strings.Replace(goodRelease, "debian13", "debian13, myos", 1),
		"matrix.yaml":      "what is beside the folders is not read",
		"docs/notes.txt":   "nor are other folders",
		"cuda/README.md":   "nor this: [",
		"cuda/.mine.yaml~": "nor what an editor leaves: [",
	}))
	if names := c.OSNames(); !slices.Contains(names, "myos") || !slices.Contains(names, "debian11") {
		t.Errorf("OSNames = %v, want myos among them", names)
	}
	if diff := cmp.Diff([]string{"12.4", "12.6"}, c.CUDAFor("debian13")); diff != "" {
		t.Errorf("CUDAFor(debian13) (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"debian13", "myos"}, c.OSFor("12.6")); diff != "" {
		t.Errorf("OSFor(12.6) (-want +got):\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	with := func(text, old, replacement string) string { return strings.Replace(text, old, replacement, 1) }
	cases := map[string]struct {
		file, text string
		want       []string // parts of the error; FILE is the file as the user names it
	}{
		"unknown key":          {"os/myos.yaml", goodOS + "suit: x\n", []string{`FILE:6:1: unknown key "suit" in the recipe`}},
		"unknown inner key":    {"cuda/a.yaml", with(goodRelease, "packages: [a]", "package: [a]"), []string{`FILE:6:17: unknown key "package" in layers base`}},
		"wrong type":           {"cuda/a.yaml", with(goodRelease, "[50]", "[sm_50]"), []string{`FILE:7:18: sass: want a whole number, got the string "sm_50"`}},
		"no list":              {"cuda/a.yaml", with(goodRelease, "[debian13]", "debian13"), []string{`FILE:3:5: os: want a list, got the string "debian13"`}},
		"no mapping":           {"os/myos.yaml", with(goodOS, "{suite: mine}", "[mine]"), []string{"FILE:5:12: bootstrap: want a mapping, got a list"}},
		"no string":            {"os/myos.yaml", with(goodOS, "source: debian", "source: [debian]"), []string{"FILE:3:9: source: want a string, got a list"}},
		"duplicate key":        {"os/myos.yaml", goodOS + "os: myos\n", []string{`FILE:6:1: duplicate key "os" in the recipe: first at line 1`}},
		"not YAML":             {"os/myos.yaml", "os: [", []string{"FILE:2:1: not YAML"}},
		"empty file":           {"os/myos.yaml", "", []string{"FILE:1:1: the file is empty"}},
		"only a comment":       {"os/myos.yaml", "# later\n", []string{"FILE:1:1: the file is empty"}},
		"file named otherwise": {"os/other.yaml", goodOS, []string{`FILE:1:1: is about "myos"`, "myos.yaml"}},
		"unknown manager":      {"os/myos.yaml", with(goodOS, "apt", "atp"), []string{`FILE:4:1: unknown package manager "atp"`}},
		"no suite":             {"os/myos.yaml", with(goodOS, "suite: mine", ""), []string{"FILE:5:1: no bootstrap suite"}},
		"no bootstrap":         {"os/myos.yaml", with(goodOS, "bootstrap: {suite: mine}\n", ""), []string{"FILE:1:1: no bootstrap suite"}},
		"unknown mount kind":   {"manager/mine.yaml", with(goodManager, "tmpfs", "ramdisk"), []string{"FILE:3:23: mount /tmp", `"ramdisk"`, "cache, tmpfs or lists"}},
		"relative mount":       {"manager/mine.yaml", with(goodManager, "/tmp", "tmp"), []string{`FILE:3:17: path: "tmp": want an absolute path`}},
		"no install script":    {"manager/mine.yaml", with(goodManager, "install: true\n", ""), []string{"FILE:1:1: no install script"}},
		"bad guard":            {"manager/mine.yaml", goodManager + "guard: '{{.CUDA'\n", []string{"FILE:4:1: ", "guard"}},
		"guard of nothing":     {"manager/apt.yaml", "guard: '{{.Nothing}}'\n", []string{"recipes/cuda/12.4-debian13.yaml:", "Nothing"}},
		"unknown platform":     {"cuda/a.yaml", with(goodRelease, "linux/amd64", "linux/arm65"), []string{`FILE:4:13: unknown platform "linux/arm65"`}},
		"unknown os":           {"cuda/a.yaml", with(goodRelease, "debian13", "plan9"), []string{`FILE:3:6: os "plan9" has no recipe`}},
		"other source":         {"cuda/a.yaml", with(goodRelease, "source: debian", "source: nvidia"), []string{`FILE:2:1: os "debian13" has source "debian", not "nvidia"`}},
		"no os":                {"cuda/a.yaml", with(goodRelease, "debian13", ""), []string{"FILE:3:1: needs at least one os"}},
		"no platform":          {"cuda/a.yaml", with(goodRelease, "linux/amd64", ""), []string{"FILE:3:1: ", "one platform"}},
		"no version":           {"cuda/a.yaml", with(goodRelease, "12.6.3", "latest"), []string{"FILE:5:1: ", `"latest"`}},
		"cuda no version":      {"cuda/a.yaml", with(goodRelease, "12.6", "12/6"), []string{`FILE:1:7: cuda: "12/6": want`}},
		"layer missing":        {"cuda/a.yaml", with(goodRelease, ", devel: {packages: [c]}", ""), []string{`FILE:6:1: layer "devel" installs nothing`}},
		"unknown layer":        {"cuda/a.yaml", with(goodRelease, "base:", "extra: {packages: [x]}, base:"), []string{`FILE:6:10: unknown layer "extra"`}},
		"no samples":           {"cuda/a.yaml", with(goodRelease, "sass: [50], ", ""), []string{"FILE:7:1: samples need sass"}},
		"release twice":        {"cuda/z.yaml", with(goodRelease, "12.6", "12.4"), []string{"FILE:1:1: CUDA 12.4 for debian13 is in recipes/cuda/12.4-debian13.yaml"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := dir(t, map[string]string{test.file: test.text})
			c, err := recipes.Load(root)
			if c != nil || err == nil {
				t.Fatalf("Load = %v, %v, want nil, an error", c, err)
			}
			for _, want := range test.want {
				want = strings.Replace(want, "FILE", filepath.Join(root, test.file), 1)
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Load: %v\nwant it to hold %q", err, want)
				}
			}
		})
	}
}

// TestLoadRefusesNames: an OS's name is part of tags, repository and file names.
func TestLoadRefusesNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"My", "my os", "my:os", "-myos", "myos-", "my..os", "my@os", "ubuntu22,04", "ö", strings.Repeat("x", 65)} {
		_, err := recipes.Load(dir(t, map[string]string{"os/" + name + ".yaml": strings.Replace(goodOS, "myos", `"`+name+`"`, 1)}))
		if err == nil || !strings.Contains(err.Error(), "part of a tag") {
			t.Errorf("Load with OS %q: %v, want it refused", name, err)
		}
	}
	for _, name := range []string{"ubuntu22.10", "x", "rocky-linux_9", strings.Repeat("x", 64)} {
		load(t, dir(t, map[string]string{"os/" + name + ".yaml": strings.Replace(goodOS, "myos", name, 1)}))
	}
}

// TestLoadRefusesDirectories: each for its own reason, and a misspelt name by itself.
func TestLoadRefusesDirectories(t *testing.T) {
	t.Parallel()
	file := filepath.Join(dir(t, map[string]string{"file": ""}), "file")
	folder := dir(t, map[string]string{"toolkits/12.4.1.yaml": "pins: {nccl: 2.21.6}\n"})
	suffix := dir(t, map[string]string{"toolkit/12.4.1.yml": "pins: {nccl: 2.21.6}\n"})
	empty, beside := t.TempDir(), dir(t, map[string]string{"12.4.1.yaml": "pins: {nccl: 2.21.6}\n"})
	for path, want := range map[string]string{
		file:        file + ": is a file, not a folder",
		file + "/x": file + "/x: not a directory",
		"absent":    "absent: there is no such folder",
		"":          `"": there is no such folder`,
		empty:       empty + ": has no recipes",
		beside:      beside + ": has no recipes",
		folder:      folder + "/toolkits: is no folder of recipes",
		suffix:      suffix + "/toolkit/12.4.1.yml: is no recipe: want NAME.yaml",
	} {
		c, err := recipes.Load(path)
		if c != nil || err == nil || err.Error() != want {
			t.Errorf("Load(%q) = %v, %v, want %s", path, c, err, want)
		}
	}
}

// TestLoadRefusesStrays: what is in a folder of recipes and is none would change nothing,
// silently.
func TestLoadRefusesStrays(t *testing.T) {
	t.Parallel()
	for stray, want := range map[string]string{
		"toolkit/13.2.0.yml": `is no recipe: want NAME.yaml ("did you mean 13.2.0.yaml?")`,
		"toolkit/foo.txt":    `is no recipe: want NAME.yaml ("move it away: only recipes, README files and names that start with a dot may be here")`,
		"toolkit/yaml":       `is no recipe: want NAME.yaml ("move it away: only recipes, README files and names that start with a dot may be here")`,
		"os/old/a.yaml":      `is a folder, in which nothing is read ("move the recipes in it up, or the folder away")`,
		"toolkits/a.yaml":    `is no folder of recipes ("did you mean \"toolkit\"?")`,
	} {
		root := dir(t, map[string]string{"os/myos.yaml": goodOS, stray: goodOS})
		_, err := recipes.Load(root)
		var problems spec.Problems
		if !errors.As(err, &problems) || len(problems) != 1 {
			t.Errorf("Load with %s = %v, want one problem", stray, err)
			continue
		}
		file := filepath.Join(root, stray)
		if strings.Contains(want, "folder") {
			file = filepath.Dir(file)
		}
		if got := fmt.Sprintf("%s (%q)", problems[0].Message, problems[0].Hint); got != want || problems[0].File != file {
			t.Errorf("Load with %s: %s: %s, want %s", stray, problems[0].File, got, want)
		}
	}
}

// TestLoadRefusesPipes: what is behind the name of a recipe, or on the way to it, and is no plain
// file is not waited for.
func TestLoadRefusesPipes(t *testing.T) {
	t.Parallel()
	put := map[string]func(path string) error{
		"pipe":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
	}
	for kind, put := range put {
		for _, name := range []string{"toolkit/9.9.9.yaml", "toolkit/12.4.1.yaml", "flavor/mine.yaml"} {
			root := dir(t, map[string]string{"os/myos.yaml": goodOS, filepath.Dir(name) + "/README": ""})
			path := filepath.Join(root, name)
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			want := spec.Problem{File: path, Message: "is no plain file", Hint: "a recipe is one: move this away"}
			_, err := recipes.Load(root)
			var problems spec.Problems
			if !errors.As(err, &problems) || !slices.Contains(problems, want) {
				t.Errorf("a %s as %s: %v, want %v", kind, name, err, want)
			}
			if _, err := recipes.Text(name, root); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Text of a %s as %s: %v", kind, name, err)
			}
		}
	}
	way := dir(t, map[string]string{"os/myos.yaml": goodOS})
	if err := unix.Mkfifo(filepath.Join(way, "toolkit"), 0o600); err != nil {
		t.Fatal(err)
	}
	load(t, way) // no folder of recipes
	large := dir(t, map[string]string{"toolkit/9.9.9.yaml": strings.Repeat("#", spec.MaxBytes+9)})
	if _, err := recipes.Load(large); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("of a large recipe: %v", err)
	}
}

// TestLoadHints: a word that is nearly right is named.
func TestLoadHints(t *testing.T) {
	t.Parallel()
	_, err := recipes.Load(dir(t, map[string]string{"os/myos.yaml": goodOS + "titel: x\n"}))
	var problems spec.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Hint != `did you mean "title"?` {
		t.Errorf("Load = %#v, want one problem with a hint at \"title\"", err)
	}
	_, err = recipes.Load(dir(t, map[string]string{"toolkit/12.4.9.yaml": "pins: {nccl: 2.21.6}\n"}))
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Hint != "did you mean 12.4.0 or 12.4.1?" ||
		problems[0].Message != "no other folder of recipes has a toolkit 12.4.9, so this file must say cuda and os" {
		t.Errorf("Load = %#v, want that nothing is there to change", err)
	}
	vendor := "os: myos\nsource: nvidia\nmanager: apt\nimage: mine\nrepository: {dir: mine, packages: deb, arch: {linux/amd64: a, linux/arm65: b}}\n"
	_, err = recipes.Load(dir(t, map[string]string{"os/myos.yaml": vendor}))
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Hint != `did you mean "linux/arm64"?` {
		t.Errorf("Load = %#v, want one problem with a hint at \"linux/arm64\"", err)
	}
}

// TestLoadReportsAll: one pass finds everything that is wrong.
func TestLoadReportsAll(t *testing.T) {
	t.Parallel()
	_, err := recipes.Load(dir(t, map[string]string{
		"os/myos.yaml": "os: myos\nmanager: atp\n",
		"cuda/a.yaml":  "cuda: x\n",
	}))
	for _, want := range []string{"unknown package manager", "no bootstrap suite", "want two version numbers", `layer "base"`, `layer "devel"`, "sass"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load: %v\nwant it to hold %q", err, want)
		}
	}
	_, err = recipes.Load(dir(t, map[string]string{"os/a.yaml": "x: 1\n", "os/b.yaml": "y: 1\n", "cuda/c.yaml": "z: 1\n"}))
	for _, want := range []string{"os/a.yaml", "os/b.yaml", "cuda/c.yaml"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load: %v\nwant it to name %s", err, want)
		}
	}
}

// TestWhere: a message about a layer or the samples can say which line makes it.
func TestWhere(t *testing.T) {
	t.Parallel()
	root := dir(t, map[string]string{"cuda/mine.yaml": goodRelease})
	mine, _ := load(t, root).Find("debian13", "12.6")
	embedded, _ := load(t).Find("debian13", "12.4")
	cases := []struct {
		release recipes.Release
		part    string
		file    string
		line    int
	}{
		{mine, "base", filepath.Join(root, "cuda/mine.yaml"), 6},
		{mine, "devel", filepath.Join(root, "cuda/mine.yaml"), 6},
		{mine, "samples", filepath.Join(root, "cuda/mine.yaml"), 7},
		{mine, "nothing", filepath.Join(root, "cuda/mine.yaml"), 0},
		{embedded, "base", "recipes/cuda/12.4-debian13.yaml", 10},
		{embedded, "samples", "recipes/cuda/12.4-debian13.yaml", 50},
	}
	for _, test := range cases {
		if file, line := test.release.Where(test.part); file != test.file || line != test.line {
			t.Errorf("Where(%q) = %s:%d, want %s:%d", test.part, file, line, test.file, test.line)
		}
	}
}
