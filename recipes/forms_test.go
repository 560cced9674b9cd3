// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/recipes"
)

// evil are words that a program takes for an option or for several words, or a shell, a
// package manager, a Dockerfile or a terminal for more than words.
var evil = []string{
	"--logfile=/any/file", "-x", "a b", "a;touch X", "$(touch X)", "`touch X`", "a'b", `a"b`, "a\nRUN touch X", "a|b", "a&b", "a>b", "a\\b",
	"\x1b[2J", "a\u009b2J", "a\u202eb", "a\tb", "*", "#", "a$b",
}

// recipesWith are recipes with a place for a word, and the place: line, column.
var recipesWith = map[string]struct {
	file, text string
	line       int
	also       []string // evil words that are fine there
}{
	"suite":         {"os/x.yaml", "os: x\ntitle: X\nsource: debian\nmanager: apt\nbootstrap:\n  suite: %s\n", 6, nil},
	"component":     {"os/x.yaml", "os: x\ntitle: X\nsource: debian\nmanager: apt\nbootstrap:\n  suite: a\n  components:\n    - main\n    - %s\n", 9, nil},
	"public image":  {"os/x.yaml", "os: x\ntitle: X\nsource: debian\nmanager: apt\nbootstrap:\n  suite: a\n  image: %s\n", 7, nil},
	"image":         {"os/x.yaml", "os: x\ntitle: X\nsource: nvidia\nmanager: apt-nvidia\nimage: %s\nrepository: {dir: d, packages: deb, arch: {linux/amd64: x86_64}}\n", 5, nil},
	"title":         {"os/x.yaml", "os: x\ntitle: %s\nsource: debian\nmanager: apt\nbootstrap: {suite: a}\n", 2, []string{"--logfile=/any/file", "-x", "a b", "a;touch X", "$(touch X)", "`touch X`", "a'b", `a"b`, "a|b", "a&b", "a>b", "a\\b", "*", "#", "a$b"}},
	"directory":     {"os/x.yaml", "os: x\ntitle: X\nsource: nvidia\nmanager: apt-nvidia\nimage: a\nrepository:\n  dir: %s\n  packages: deb\n  arch: {linux/amd64: x86_64}\n", 7, nil},
	"architecture":  {"os/x.yaml", "os: x\ntitle: X\nsource: nvidia\nmanager: apt-nvidia\nimage: a\nrepository:\n  dir: d\n  packages: deb\n  arch:\n    linux/amd64: %s\n", 10, nil},
	"scheme":        {"os/x.yaml", "os: x\ntitle: X\nsource: nvidia\nmanager: apt-nvidia\nimage: a\nrepository:\n  dir: d\n  packages: deb\n  arch: {linux/amd64: x86_64}\n  scheme: %s\n", 10, nil},
	"prerequisite":  {"os/x.yaml", "os: x\ntitle: X\nsource: nvidia\nmanager: apt-nvidia\nimage: a\nrepository:\n  dir: d\n  packages: deb\n  arch: {linux/amd64: x86_64}\n  prerequisites:\n    - %s\n", 11, nil},
	"extra package": {"os/x.yaml", "os: x\ntitle: X\nsource: nvidia\nmanager: apt-nvidia\nimage: a\nrepository: {dir: d, packages: deb, arch: {linux/amd64: x86_64}}\nextra:\n  base:\n    - %s\n", 9, nil},
	"vault":         {"os/x.yaml", "os: x\ntitle: X\nsource: nvidia\nmanager: yum\nimage: a\nrepository: {dir: d, packages: rpm, arch: {linux/amd64: x86_64}}\nvault: %s\n", 7, nil},
	"other vault":   {"os/x.yaml", "os: x\ntitle: X\nsource: nvidia\nmanager: yum\nimage: a\nrepository: {dir: d, packages: rpm, arch: {linux/amd64: x86_64}}\noverrides:\n  - since: 2024-01-01\n    why: moved\n    vault: http://a/%s\n", 10, []string{"--logfile=/any/file", "-x"}},
	"other image":   {"os/x.yaml", "os: x\ntitle: X\nsource: nvidia\nmanager: yum\nimage: a\nrepository: {dir: d, packages: rpm, arch: {linux/amd64: x86_64}}\noverrides:\n  - since: 2024-01-01\n    why: moved\n    image: %s\n", 10, nil},
	"root":          {"repository/x.yaml", "source: x\nroots:\n  x: https://host/%s\nkeys: []\n", 3, []string{"--logfile=/any/file", "-x"}},
	"root's name":   {"repository/x.yaml", "source: x\nroots:\n  x: https://host\n  %s: https://host\nkeys: []\n", 4, nil},
	"key file":      {"repository/x.yaml", "source: x\nroots: {x: https://host}\nkeys:\n  - id: 3bf863cc\n    file: %s\n    sha256: " + strings.Repeat("a", 64) + "\n    since: 2022-04-27\n    serves: [deb]\n", 5, nil},
	"brand":         {"repository/x.yaml", "source: x\nroots: {x: https://host}\nbrands:\n  A:\n    - %s\n", 5, nil},
	"package":       {"cuda/x.yaml", "cuda: \"99.1\"\nversion: \"99.1\"\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers:\n  base: {packages: [a]}\n  runtime: {packages: [b]}\n  devel:\n    packages:\n      - %s\n", 12, nil},
	"hold":          {"cuda/x.yaml", "cuda: \"99.1\"\nversion: \"99.1\"\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers:\n  base: {packages: [a]}\n  runtime: {packages: [b]}\n  devel:\n    packages: [c]\n    hold:\n      - %s\n", 13, nil},
	"variable":      {"cuda/x.yaml", "cuda: \"99.1\"\nversion: \"99.1\"\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers:\n  base: {packages: [a]}\n  runtime: {packages: [b]}\n  devel:\n    packages: [c]\n    env:\n      %s: x\n", 13, nil},
	"file":          {"cuda/x.yaml", "cuda: \"99.1\"\nversion: \"99.1\"\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers:\n  base: {packages: [a]}\n  runtime: {packages: [b]}\n  devel:\n    packages: [c]\n    files:\n      %s: x\n", 13, nil},
	"link":          {"cuda/x.yaml", "cuda: \"99.1\"\nversion: \"99.1\"\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers:\n  base: {packages: [a]}\n  runtime: {packages: [b]}\n  devel:\n    packages: [c]\n    links:\n      %s: x\n", 13, nil},
	"target":        {"cuda/x.yaml", "cuda: \"99.1\"\nversion: \"99.1\"\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers:\n  base: {packages: [a]}\n  runtime: {packages: [b]}\n  devel:\n    packages: [c]\n    links:\n      /a: %s\n", 13, nil},
	"variant":       {"cuda/x.yaml", "cuda: \"99.1\"\nversion: \"99.1\"\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers:\n  base: {packages: [a]}\n  runtime: {packages: [b]}\n  devel: {packages: [c]}\n  %s: {packages: [d]}\n", 11, nil},
	"own flavor":    {"flavor/x.yaml", "flavor: %s\non: [base]\npackages: {deb: [a]}\n", 1, nil},
	"own package":   {"flavor/x.yaml", "flavor: x\non: [base]\npackages:\n  deb:\n    - %s\n", 5, nil},
	"own file":      {"flavor/x.yaml", "flavor: x\non: [base]\nfiles:\n  /%s: {content: x}\n", 4, []string{"--logfile=/any/file", "-x"}},
	"own source":    {"flavor/x.yaml", "flavor: x\non: [base]\nfiles:\n  /a: {source: %s}\n", 4, nil},
	"own mode":      {"flavor/x.yaml", "flavor: x\non: [base]\nfiles:\n  /a: {content: x, mode: %s}\n", 4, nil},
	"provided":      {"cuda/x.yaml", "cuda: \"99.1\"\nversion: \"99.1\"\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers: {base: {packages: [a]}, runtime: {packages: [b]}, devel: {packages: [c]}}\nguard:\n  provides:\n    - %s\n", 10, nil},
	"cuda":          {"cuda/x.yaml", "cuda: %s\nversion: \"99.1\"\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers: {base: {packages: [a]}, runtime: {packages: [b]}, devel: {packages: [c]}}\n", 1, nil},
	"version":       {"cuda/x.yaml", "cuda: \"99.1\"\nversion: %s\nsource: debian\nos: [debian13]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\nlayers: {base: {packages: [a]}, runtime: {packages: [b]}, devel: {packages: [c]}}\n", 2, nil},
	"pin of an era": {"era/x.yaml", "era: x\nsource: nvidia\npins:\n  cudart: %s\n", 4, nil},
	"era's package": {"era/x.yaml", "era: x\nsource: nvidia\npackages:\n  deb:\n    base:\n      packages:\n        - %s\n", 7, nil},
	"mount":         {"manager/x.yaml", "manager: x\ninstall: true\nmounts:\n  - path: /%s\n    kind: tmpfs\n", 4, []string{"-x"}},
	"cache mount":   {"manager/x.yaml", "manager: x\ninstall: true\nmounts:\n  - kind: cache\n    path: /a,source=%s\n", 5, nil},
	"driver":        {"manager/x.yaml", "manager: x\ninstall: true\ndriver_packages:\n  - %s\n", 4, []string{"*"}},
}

// TestForms: no word of a recipe that reaches a program, a script, a Dockerfile or a
// terminal can be more than a word, and the recipe that tries is refused where it does.
func TestForms(t *testing.T) {
	t.Parallel()
	for what, with := range recipesWith {
		files := map[string]string{}
		name := func(i int) string { return strings.Replace(with.file, "x.yaml", fmt.Sprintf("x%d.yaml", i), 1) }
		for i, word := range evil {
			text := strings.Replace(with.text, ": x\n", fmt.Sprintf(": x%d\n", i), 1) // what is in a file is its name
			files[name(i)] = filled(strings.Replace(text, "\n  x: ", fmt.Sprintf("\n  x%d: ", i), 1), word)
		}
		root := dir(t, files)
		_, err := recipes.Load(root)
		if err == nil || strings.ContainsAny(err.Error(), "\x1b\u009b\u202e") {
			t.Errorf("%s: %v, want an error without raw control characters", what, err)
			continue
		}
		for i, word := range evil {
			place, fine := fmt.Sprintf("%s/%s:%d:", root, name(i), with.line), slices.Contains(with.also, word)
			if strings.Contains(err.Error(), place) == fine {
				t.Errorf("%s %q: want a problem at %s: %v; got\n%v", what, word, place, !fine, err)
			}
		}
	}
}

// filled is the text with the word in it, as a quoted string with what stands before it.
func filled(text, word string) string {
	before, after, _ := strings.Cut(text, "%s")
	i := strings.LastIndexAny(before, " \n") + 1
	return before[:i] + fmt.Sprintf("%q", before[i:]+word) + after
}

// TestFormsTake what is usual and looks odd.
func TestFormsTake(t *testing.T) {
	t.Parallel()
	root := dir(t, map[string]string{
		"os/x.yaml": "os: x\ntitle: \"X & Y's (1.0)\"\nsource: debian\nmanager: apt\nbootstrap: {suite: bookworm-updates, components: [main, non-free-firmware], image: \"localhost:5000/a/b_c:1.0@sha256:" + strings.Repeat("a", 64) + "\"}\n",
		"cuda/x.yaml": "cuda: \"99.1\"\nversion: \"99.1\"\nsource: debian\nos: [x]\nplatforms: [linux/amd64]\nsamples: {sass: [50], ptx: 50}\n" +
			"layers:\n  base:\n    packages: [\"libc6:i386\", g++, \"libstdc++6=1:2.0~rc1-1+b1\", gcc-12.x86_64, \"kernel-5.14^git1\", a_b]\n" +
			"    env: {A: \"several\\nlines, 'quotes' and $dollars\", _b1: \"\"}\n    files: {\"/etc/ld.so.conf.d/a b@1.conf\": \"any\\n\\ttext\"}\n    links: {/usr/local/cuda: ../opt/cuda-99.1}\n" +
			"  runtime: {packages: [b]}\n  devel: {packages: [c]}\n  cudnn8-runtime: {packages: [d]}\nguard: {provides: [\"libnvidia-ml.so.1 (= 550)\"]}\n",
	})
	if _, err := recipes.Load(root); err != nil {
		t.Error(err)
	}
}
