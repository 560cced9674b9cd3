// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/recipes"
)

// ownFlavor is one as a team writes it; its motd stands beside the folder.
const ownFlavor = `flavor: jupyter
on: [runtime, devel]
packages:
  deb: [python3, python3-pip]
  rpm: [python3]
  ubuntu24.04: [python3.13]
  debian12: []
files:
  /etc/acme/motd: {source: motd}
  /usr/local/bin/hello: {content: "#!/bin/sh\necho hello\n", mode: "0755"}
size_mb: 90
`

// TestOwnFlavor: one file gives every release that has them two flavors more, on all of its
// platforms, with cuda-compat and without; nothing else changes.
func TestOwnFlavor(t *testing.T) {
	t.Parallel()
	root := dir(t, map[string]string{"flavor/jupyter.yaml": ownFlavor, "motd": "Welcome\n"})
	plain, c := load(t), load(t, root)
	want := recipes.Layer{
		Packages: []string{"python3", "python3-pip"}, SizeMB: 90,
		Files: map[string]string{"/etc/acme/motd": "Welcome\n", "/usr/local/bin/hello": "#!/bin/sh\necho hello\n"},
		Modes: map[string]string{"/etc/acme/motd": "0644", "/usr/local/bin/hello": "0755"},
	}
	for _, os := range c.OSNames() {
		for _, cuda := range c.CUDAFor(os) {
			r, old := find(t, c, os, cuda), find(t, plain, os, cuda)
			var added []recipes.Flavor
			if os != "debian12" {
				added = []recipes.Flavor{"jupyter-runtime", "jupyter-devel"}
			}
			if diff := cmp.Diff(slices.SortedFunc(slices.Values(append(added, old.Flavors()...)), recipes.CompareFlavors), r.Flavors()); diff != "" {
				t.Errorf("flavors of CUDA %s on %s (-want +got):\n%s", cuda, os, diff)
			}
			for _, flavor := range added {
				for _, platform := range r.Platforms {
					layer := r.WithCompat().On(platform).Layers[flavor]
					if len(layer.Packages) == 0 || !cmp.Equal(layer.Files, want.Files) {
						t.Errorf("CUDA %s on %s %s: %s is %+v", cuda, os, platform, flavor, layer)
					}
				}
			}
			for _, flavor := range old.Flavors() {
				if !cmp.Equal(r.Layers[flavor], old.Layers[flavor]) {
					t.Errorf("CUDA %s on %s: its %s is another", cuda, os, flavor)
				}
			}
		}
	}
	r := find(t, c, "debian13", "12.4")
	if diff := cmp.Diff(want, r.Layers["jupyter-devel"]); diff != "" {
		t.Errorf("jupyter-devel (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]recipes.Flavor{"base", "runtime", "jupyter-runtime"}, r.Chain("jupyter-runtime")); diff != "" {
		t.Errorf("jupyter-runtime stands on (-want +got):\n%s", diff)
	}
	if file, line := r.Where("jupyter-runtime"); file != filepath.Join(root, "flavor/jupyter.yaml") || line != 3 {
		t.Errorf("jupyter-runtime is said at %s:%d", file, line)
	}
	for os, packages := range map[string][]string{"ubuntu24.04": {"python3.13"}, "rockylinux9": {"python3"}} {
		if diff := cmp.Diff(packages, find(t, c, os, "12.8.1").Layers["jupyter-runtime"].Packages); diff != "" {
			t.Errorf("packages on %s (-want +got):\n%s", os, diff)
		}
	}
	recipe, _ := c.Recipe("debian13", "12.4")
	before, _ := plain.Recipe("debian13", "12.4")
	files := []recipes.File{
		{Name: "flavor/jupyter.yaml", Digest: digest.FromString(ownFlavor).String()},
		{Name: "motd", Digest: digest.FromString("Welcome\n").String()},
	}
	if diff := cmp.Diff(files, recipe.FlavorFiles("jupyter-devel")); diff != "" {
		t.Errorf("files of jupyter-devel (-want +got):\n%s", diff)
	}
	if !slices.Equal(recipe.Files(), before.Files()) || recipe.FlavorFiles(recipes.Devel) != nil {
		t.Error("a flavor of the user's is among the files of others")
	}
}

// TestOwnFlavorRefused: what a flavor file cannot say, where it says it.
func TestOwnFlavorRefused(t *testing.T) {
	t.Parallel()
	with := func(old, text string) string {
		if !strings.Contains(ownFlavor, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(ownFlavor, old, text, 1)
	}
	const motd = "{source: motd}"
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":       {with("size_mb", "size"), `:11:1: unknown key "size"`},
		"own word":          {with("jupyter", "runtime"), `:1:1: flavor "runtime": runtime is a word of cudabuild's own`},
		"a stage":           {with("jupyter", "image-x"), `:1:1: flavor "image-x": image is a word of cudabuild's own`},
		"a sample":          {with("jupyter", "nbody"), `:1:1: flavor "nbody": nbody is a word of cudabuild's own`},
		"a sample's case":   {with("jupyter", "devicequery"), "own"},
		"a variant":         {with("jupyter", "cudnn"), `has cudnn-runtime already, from recipes/toolkit/`},
		"long":              {with("jupyter", strings.Repeat("x", 33)), ":1:1: flavor"},
		"on nothing":        {with("[runtime, devel]", "[]"), ":2:1: needs a flavor that it is put on"},
		"on what is not":    {with("devel]", "devl]"), `:2:15: on "devl": want base, runtime or devel`},
		"twice on one":      {with("devel]", "runtime]"), `:2:1: on: "runtime" is listed twice`},
		"unknown kind":      {with("rpm:", "rmp:"), `:5:3: packages: "rmp" is neither deb nor rpm, nor an OS`},
		"driver":            {with("python3-pip", "libcuda1=550"), ":4:18: package libcuda1 is one of the driver on debian11, debian12, debian13"},
		"driver by pattern": {with("rpm: [python3]", "rpm: [nvidia-driver-cuda]"), ":5:9: package nvidia-driver-cuda is one of the driver on "},
		"nothing":           {"flavor: jupyter\non: [runtime]\n", ":1:1: adds nothing"},
		"neither":           {with(motd, `{mode: "0644"}`), ":9:3: file /etc/acme/motd: want either content or source"},
		"both":              {with(motd, "{source: motd, content: x}"), ":9:3: file /etc/acme/motd: want either content or source"},
		"mode":              {with("0755", "4755"), `:10:68: mode: "4755": want four octal digits`},
		"up and away":       {with(motd, "{source: a/../../motd}"), ":9:20: file /etc/acme/motd: source \"a/../../motd\" leads elsewhere"},
		"up in the image":   {with("/etc/acme/motd", "/etc/../motd"), ":9:3: file /etc/../motd: the path has parts that lead elsewhere"},
		"a mount":           {with("/etc/acme/motd", "/run/motd"), ":9:3: file /run/motd: nothing in /run is part of an image"},
		"a manager's mount": {with("/etc/acme/motd", "/var/log/motd"), ":9:3: file /var/log/motd: nothing in /var/log is part of an image"},
		"file and folder":   {with("/usr/local/bin/hello", "/etc/acme"), ":10:3: file /etc/acme: it is the folder of /etc/acme/motd"},
		"accounts":          {with("/etc/acme/motd", "/etc/passwd"), ":9:3: file /etc/passwd: the place is the system's accounts"},
		"guard":             {with("/etc/acme/motd", "/etc/apt/preferences.d/zz"), ":9:3: file /etc/apt/preferences.d/zz: the place is the package manager's"},
		"packages":          {with("/etc/acme/motd", "/var/lib/dpkg/status"), ":9:3: file /var/lib/dpkg/status: the place is the package manager's"},
		"linker":            {with("/etc/acme/motd", "/etc/ld.so.conf.d/a.conf"), ":9:3: file /etc/ld.so.conf.d/a.conf: the place is the dynamic linker's"},
		"shell":             {with("/etc/acme/motd", "/usr/bin/sh"), ":9:3: file /usr/bin/sh: the place is a program of build steps"},
		"driver library":    {with("/etc/acme/motd", "/usr/lib/x86_64-linux-gnu/libcuda.so.1"), ":9:3: file /usr/lib/x86_64-linux-gnu/libcuda.so.1: the place is the runtime hook's"},
		"below a driver":    {with("/etc/acme/motd", "/opt/libnvidia-ml.so.1/x"), ":9:3: file /opt/libnvidia-ml.so.1/x: the place is the runtime hook's"},
		"a place itself":    {with("/etc/acme/motd", "/tmp"), ":9:3: file /tmp: nothing in /tmp is part of an image"},
		"above a mount":     {with("/etc/acme/motd", "/var"), ":9:3: file /var: the place is a folder of every image"},
		"a system's folder": {with("/etc/acme/motd", "/usr/lib"), ":9:3: file /usr/lib: the place is a folder of every image"},
		"a relative path":   {with("/etc/acme/motd", "etc/motd"), `:9:3: files: "etc/motd": want an absolute path`},
		"no file":           {with(motd, "{source: modt}"), ":9:20: file /etc/acme/motd: source modt is in no folder of recipes"},
		"a folder":          {with(motd, "{source: flavor}"), ":9:20: file /etc/acme/motd: source flavor: flavor is no plain file"},
		"a link":            {with(motd, "{source: link}"), ":9:20: file /etc/acme/motd: source link: link is no plain file, or leads through a link"},
		"through a link":    {with(motd, "{source: way/motd}"), ":9:20: file /etc/acme/motd: source way/motd: way is no plain file, or leads through a link"},
		"no text":           {with(motd, "{source: binary}"), ":9:20: file /etc/acme/motd: source binary is no text"},
		"large":             {with(motd, "{source: large}"), ":9:20: file /etc/acme/motd: source large has 65537 bytes, more than 65536"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, _, _ := strings.Cut(strings.TrimPrefix(test.text, "flavor: "), "\n")
			file := "flavor/" + first + ".yaml"
			root := dir(t, map[string]string{file: test.text, "motd": "Welcome\n", "binary": "\x00\x1b[2J", "large": strings.Repeat("x", 65537)})
			for link, to := range map[string]string{"link": "motd", "way": "."} {
				if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
					t.Fatal(err)
				}
			}
			c, err := recipes.Load(root)
			if c != nil || err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), filepath.Join(root, file)+":") {
				t.Errorf("Load = %v, want it to hold %q", err, test.want)
			}
		})
	}
}

// TestOwnFlavorPlaces: what looks like a kept place and is none is a flavor's to have.
func TestOwnFlavorPlaces(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"/app", "/etc/motd", "/etc/profile.d/acme.sh", "/etc/aptitude", "/opt/acme/etc/passwd", "/usr/lib/libcudart-note", "/usr/local/bin/apt", "/usr/bin/acme", "/root/.bashrc", "/tmpl/a"} {
		load(t, dir(t, map[string]string{"flavor/jupyter.yaml": strings.Replace(ownFlavor, "/etc/acme/motd", place, 1), "motd": "x\n"}))
	}
}

// TestOwnFlavorOfFolders: the last folder that has a source counts, as for recipes.
func TestOwnFlavorOfFolders(t *testing.T) {
	t.Parallel()
	first := dir(t, map[string]string{"flavor/jupyter.yaml": ownFlavor, "motd": "one\n"})
	second := dir(t, map[string]string{"os/myos.yaml": goodOS, "motd": "two\n"})
	if got := find(t, load(t, first, second), "debian13", "12.4").Layers["jupyter-devel"].Files["/etc/acme/motd"]; got != "two\n" {
		t.Errorf("the file holds %q, want that of the last folder", got)
	}
}
