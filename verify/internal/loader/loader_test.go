// SPDX-License-Identifier: Apache-2.0

package loader_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

const ldso = "/lib64/ld-linux-x86-64.so.2"

// layer is a layer in words: path -> what is there.
type layer map[string]any

// link is a symbolic link, gone a whiteout, text a configuration file, and plain
// any other file.
type (
	link  string
	gone  struct{}
	text  string
	plain struct{}
)

// program and lib are the usual objects.
func program(needed ...string) loader.Object {
	return loader.Object{Interp: ldso, Needed: needed}
}

func lib(needed ...string) loader.Object { return loader.Object{Needed: needed} }

// libc is a root that programs run in.
var libc = layer{
	"lib":                            link("usr/lib"),
	"lib64":                          link("usr/lib64"),
	"usr/lib64/ld-linux-x86-64.so.2": loader.Object{SOName: "ld-linux-x86-64.so.2"},
	"usr/lib64/libc.so.6":            loader.Object{SOName: "libc.so.6", Defines: []string{"GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_PRIVATE"}},
}

func (l layer) facts() loader.Layer {
	f := &loader.Facts{}
	for p, what := range l {
		switch v := what.(type) {
		case loader.Object:
			v.Path = p
			if v.ABI == 0 {
				v.ABI = loader.AMD64
			}
			if v.SOName == "" && !strings.Contains(path.Dir(p), "bin") {
				v.SOName = path.Base(p)
			}
			f.Objects = append(f.Objects, v)
		case link:
			f.Links = append(f.Links, loader.Link{Path: p, Target: string(v)})
		case text:
			f.Configs = append(f.Configs, loader.Config{Path: p, Text: string(v)})
		}
	}
	return loader.Layer{Facts: f}
}

// has and hides are what the layer says about a path.
func (l layer) has(p string) bool { _, ok := l[p]; return ok && l[p] != gone{} }

func (l layer) hides(p string) bool {
	_, ok := l[p]
	for dir := path.Dir(p); !ok && dir != "."; dir = path.Dir(dir) {
		_, ok = l[dir]
	}
	return ok
}

func image(env loader.Env, layers ...layer) *loader.Image {
	var all []loader.Layer
	for i, l := range layers {
		f := l.facts()
		f.Hidden = func(p string) bool {
			return slices.ContainsFunc(layers[i+1:], func(l layer) bool { return l.hides(p) })
		}
		all = append(all, f)
	}
	has := func(p string) bool {
		i := slices.IndexFunc(layers, func(l layer) bool { return l.has(p) })
		return i >= 0 && !slices.ContainsFunc(layers[i+1:], func(l layer) bool { return l.hides(p) && !l.has(p) })
	}
	return loader.New(all, has, env)
}

// loaded describes a closure: paths in order, then "!name" for what is missing.
func loaded(c loader.Closure) []string {
	var all []string
	for _, l := range c.Loaded[1:] {
		if !strings.HasPrefix(path.Base(l.Path), "ld-linux") {
			all = append(all, l.Path)
		}
	}
	for _, m := range c.Missing {
		all = append(all, strings.TrimSpace("!"+m.Name+" "+m.Version))
	}
	return all
}

// TestClosure holds the search order of ld.so(8).
func TestClosure(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		env    loader.Env
		layers []layer
		want   []string
	}{
		{"default directory", loader.Env{}, []layer{{"bin/p": program("libc.so.6")}}, []string{"usr/lib64/libc.so.6"}},
		{"missing", loader.Env{}, []layer{{"bin/p": program("libx.so.1", "libc.so.6")}}, []string{"usr/lib64/libc.so.6", "!libx.so.1"}},
		{"missing further down", loader.Env{}, []layer{{"bin/p": program("liba.so"), "usr/lib/liba.so": lib("libx.so.1")}}, []string{"usr/lib/liba.so", "!libx.so.1"}},
		{"multiarch before lib64", loader.Env{}, []layer{{"bin/p": program("liba.so"), "usr/lib/x86_64-linux-gnu/liba.so": lib(), "usr/lib64/liba.so": lib()}}, []string{"usr/lib/x86_64-linux-gnu/liba.so"}},
		{"another ABI is passed over", loader.Env{}, []layer{{"bin/p": program("liba.so"), "usr/lib/x86_64-linux-gnu/liba.so": loader.Object{ABI: loader.ARM64}, "usr/lib64/liba.so": lib()}}, []string{"usr/lib64/liba.so"}},
		{"ld.so.conf before the default", loader.Env{}, []layer{{
			"bin/p": program("liba.so"), "usr/lib64/liba.so": lib(), "opt/x/liba.so": lib(), "opt/y/liba.so": lib(),
			"etc/ld.so.conf": text("# first\ninclude ld.so.conf.d/*.conf\n/opt/y\n"), "etc/ld.so.conf.d/b.conf": text("hwcap 0 x\n /opt/x # why\n"), "etc/ld.so.conf.d/.z.conf": text("/usr/lib64"),
		}}, []string{"opt/x/liba.so"}},
		{"linked configuration", loader.Env{}, []layer{{
			"bin/p": program("liba.so"), "opt/x/liba.so": lib(), "etc/ld.so.conf": text("include /etc/ld.so.conf.d/*.conf"),
			"etc/ld.so.conf.d/gl.conf": link("/etc/alternatives/gl"), "etc/alternatives/gl": link("/usr/lib/mesa/ld.so.conf"), "usr/lib/mesa/ld.so.conf": text("/opt/x"),
		}}, []string{"opt/x/liba.so"}},
		{"configuration that includes itself", loader.Env{}, []layer{{"bin/p": program("liba.so"), "usr/lib/liba.so": lib(), "etc/ld.so.conf": text("include ld.so.conf\ninclude *\n")}}, []string{"usr/lib/liba.so"}},
		{"ldconfig lists SONAMEs", loader.Env{}, []layer{{
			"bin/p": program("liba.so.1"), "usr/lib64/liba.so.1.9": loader.Object{SOName: "liba.so.1"}, "usr/lib64/liba.so.1.10": loader.Object{SOName: "liba.so.1"},
		}}, []string{"usr/lib64/liba.so.1.10"}},
		{"no hook runs ldconfig", loader.Env{Unhooked: true}, []layer{{"bin/p": program("liba.so.1"), "usr/lib64/liba.so.1.9": loader.Object{SOName: "liba.so.1"}}}, []string{"!liba.so.1"}},
		{"LD_LIBRARY_PATH goes by file name alone", loader.Env{LibraryPath: "/opt/x"}, []layer{{"bin/p": program("liba.so.1"), "opt/x/liba.so": loader.Object{SOName: "liba.so.1"}}}, []string{"!liba.so.1"}},
		{"LD_LIBRARY_PATH before RUNPATH", loader.Env{LibraryPath: "/none;/opt/x"}, []layer{{"bin/p": loader.Object{Interp: ldso, Needed: []string{"liba.so"}, RunPath: "/opt/y"}, "opt/x/liba.so": lib(), "opt/y/liba.so": lib()}}, []string{"opt/x/liba.so"}},
		{"RPATH before LD_LIBRARY_PATH", loader.Env{LibraryPath: "/opt/x"}, []layer{{"bin/p": loader.Object{Interp: ldso, Needed: []string{"liba.so"}, RPath: "/opt/y"}, "opt/x/liba.so": lib(), "opt/y/liba.so": lib()}}, []string{"opt/y/liba.so"}},
		{"RUNPATH before ld.so.conf", loader.Env{}, []layer{{"bin/p": loader.Object{Interp: ldso, Needed: []string{"liba.so"}, RunPath: "/opt/y"}, "usr/lib64/liba.so": lib(), "opt/y/liba.so": lib()}}, []string{"opt/y/liba.so"}},
		{"RPATH is inherited", loader.Env{}, []layer{{"bin/p": loader.Object{Interp: ldso, Needed: []string{"liba.so"}, RPath: "/opt/y"}, "opt/y/liba.so": lib("libb.so"), "opt/y/libb.so": lib()}}, []string{"opt/y/liba.so", "opt/y/libb.so"}},
		{"not by one that has a RUNPATH", loader.Env{}, []layer{{
			"bin/p": loader.Object{Interp: ldso, Needed: []string{"liba.so"}, RPath: "/opt/y"}, "opt/y/liba.so": loader.Object{Needed: []string{"libb.so"}, RunPath: "/opt/z"}, "opt/y/libb.so": lib(),
		}}, []string{"opt/y/liba.so", "!libb.so"}},
		{"RUNPATH is not inherited", loader.Env{}, []layer{{"bin/p": loader.Object{Interp: ldso, Needed: []string{"liba.so"}, RunPath: "/opt/y"}, "opt/y/liba.so": lib("libb.so"), "opt/y/libb.so": lib()}}, []string{"opt/y/liba.so", "!libb.so"}},
		{"what is loaded is not searched", loader.Env{}, []layer{{
			"bin/p":         loader.Object{Interp: ldso, Needed: []string{"liba.so", "libb.so.1.2"}, RunPath: "/opt/y"},
			"opt/y/liba.so": lib("libb.so.1"), "opt/y/libb.so.1.2": loader.Object{SOName: "libb.so.1"},
		}}, []string{"opt/y/liba.so", "opt/y/libb.so.1.2"}},
		{"origin", loader.Env{}, []layer{{"opt/bin/p": loader.Object{Interp: ldso, Needed: []string{"liba.so"}, RunPath: "${ORIGIN}/../$LIB:$ORIGIN/../lib"}, "opt/lib/liba.so": lib()}}, []string{"opt/lib/liba.so"}},
		{"origin of a linked library is where the link is", loader.Env{}, []layer{{
			"bin/p": loader.Object{Interp: ldso, Needed: []string{"liba.so"}, RPath: "/opt/a"}, "opt/a/liba.so": link("../b/liba.so"),
			"opt/b/liba.so": loader.Object{Needed: []string{"libb.so"}, RunPath: "$ORIGIN"}, "opt/a/libb.so": lib(),
		}}, []string{"opt/a/liba.so", "opt/a/libb.so"}},
		{"empty element is the working directory", loader.Env{LibraryPath: ":/none", WorkingDir: "/work"}, []layer{{"bin/p": program("liba.so"), "work/liba.so": lib()}}, []string{"work/liba.so"}},
		{"name with a slash", loader.Env{}, []layer{{"bin/p": program("/opt/liba.so", "$ORIGIN/libb.so"), "opt/liba.so": lib(), "bin/libb.so": lib()}}, []string{"opt/liba.so", "bin/libb.so"}},
		{"no default directories", loader.Env{}, []layer{{"bin/p": loader.Object{Interp: ldso, Needed: []string{"libc.so.6"}, NoDefault: true}}}, []string{"!libc.so.6"}},
		{"hwcaps", loader.Env{}, []layer{{"bin/p": program("liba.so"), "usr/lib64/liba.so": lib(), "usr/lib64/glibc-hwcaps/x86-64-v3/liba.so": lib()}}, []string{"usr/lib64/glibc-hwcaps/x86-64-v3/liba.so"}},
		{"hwcaps of every directory that is listed", loader.Env{}, []layer{{
			"bin/p": program("liba.so"), "etc/ld.so.conf": text("/opt/a\n/opt/b\n"), "opt/a/liba.so": lib(), "opt/a/glibc-hwcaps/x86-64-v2/liba.so": lib(), "usr/lib64/glibc-hwcaps/x86-64-v3/liba.so": lib(),
		}}, []string{"usr/lib64/glibc-hwcaps/x86-64-v3/liba.so"}},
		{"hwcaps of one directory at a time", loader.Env{LibraryPath: "/opt/a:/opt/b"}, []layer{{"bin/p": program("liba.so"), "opt/a/liba.so": lib(), "opt/b/glibc-hwcaps/x86-64-v3/liba.so": lib()}}, []string{"opt/a/liba.so"}},
		{"ldconfig ranks links by their names", loader.Env{}, []layer{{
			"bin/p": program("liba.so.1"), "usr/lib64/liba.so.1.9": loader.Object{SOName: "liba.so.1"}, "usr/lib64/liba.so.1.10": link("/opt/liba.so.1.2"), "usr/lib64/liba.so.1": link("liba.so.1.9"),
			"usr/lib64/liba.so": link("/opt/none"), "opt/liba.so.1.2": loader.Object{SOName: "liba.so.1", Needed: []string{"libx.so"}},
		}}, []string{"usr/lib64/liba.so.1", "!libx.so"}},
		{"ldconfig leaves a file", loader.Env{}, []layer{{"bin/p": program("liba.so.1"), "usr/lib64/liba.so.1.9": lib("libx.so"), "usr/lib64/liba.so.1": lib()}}, []string{"usr/lib64/liba.so.1"}},
		{"configuration by a linked directory", loader.Env{}, []layer{{
			"bin/p": program("liba.so"), "opt/x/liba.so": lib(), "etc/ld.so.conf": text("include /opt/conf/*.conf"), "opt/conf": link("/opt/conf-1"), "opt/conf-1/a.conf": text("/opt/x"),
		}}, []string{"opt/x/liba.so"}},
		{"links of files and directories", loader.Env{LibraryPath: "/usr/local/cuda/lib64"}, []layer{{
			"bin/p": program("liba.so.1"), "usr/local/cuda": link("/etc/alternatives/cuda"), "etc/alternatives/cuda": link("/usr/local/cuda-12"),
			"usr/local/cuda-12/lib64": link("targets/lib"), "usr/local/cuda-12/targets/lib/liba.so.1": link("liba.so.1.5"), "usr/local/cuda-12/targets/lib/liba.so.1.5": lib(),
		}}, []string{"usr/local/cuda-12/targets/lib/liba.so.1"}},
		{"links in circles", loader.Env{LibraryPath: "/a"}, []layer{{"bin/p": program("liba.so"), "a": link("b"), "b": link("a/x"), "usr/lib/liba.so": link("liba.so")}}, []string{"!liba.so"}},
		{"deleted in a later layer", loader.Env{}, []layer{{"bin/p": program("liba.so"), "usr/lib/liba.so": lib()}, {"usr/lib/liba.so": gone{}}}, []string{"!liba.so"}},
		{"directory deleted", loader.Env{LibraryPath: "/opt/a"}, []layer{{"bin/p": program("liba.so"), "opt/a/liba.so": lib()}, {"opt": gone{}}}, []string{"!liba.so"}},
		{"directory becomes a link", loader.Env{LibraryPath: "/opt/a"}, []layer{{"bin/p": program("liba.so"), "opt/a/liba.so": lib(), "opt/b/liba.so": lib("libx.so")}, {"opt/a": link("b")}}, []string{"opt/b/liba.so", "!libx.so"}},
		{"replaced in a later layer", loader.Env{}, []layer{{"bin/p": program("liba.so"), "usr/lib/liba.so": lib()}, {"usr/lib/liba.so": lib("libx.so")}}, []string{"usr/lib/liba.so", "!libx.so"}},
		{"written through a linked directory", loader.Env{}, []layer{{"bin/p": program("liba.so")}, {"lib/liba.so": link("a/liba.so.1"), "lib/a/liba.so.1": lib()}}, []string{"usr/lib/liba.so"}},
		{"text in a library's place", loader.Env{}, []layer{{"bin/p": program("liba.so"), "usr/lib/x86_64-linux-gnu/liba.so": plain{}, "usr/lib/liba.so": lib()}}, []string{"usr/lib/liba.so"}},
		{"version", loader.Env{}, []layer{{"bin/p": loader.Object{
			Interp: ldso, Needed: []string{"libc.so.6"}, Versions: []loader.Versions{{Lib: "libc.so.6", Names: []string{"GLIBC_2.34", "GLIBC_2.38"}}},
		}}}, []string{"usr/lib64/libc.so.6", "!libc.so.6 GLIBC_2.38"}},
		{"version of a library that has none", loader.Env{}, []layer{{"usr/lib/liba.so": lib(), "bin/p": loader.Object{
			Interp: ldso, Needed: []string{"liba.so"}, Versions: []loader.Versions{{Lib: "liba.so", Names: []string{"A_1"}}, {Lib: "libx.so", Names: []string{"A_1"}}},
		}}}, []string{"usr/lib/liba.so"}},
		{"no dynamic linker", loader.Env{}, []layer{{"bin/p": loader.Object{Interp: "/lib/ld-other.so.1", Needed: []string{"libc.so.6"}}}}, []string{"!/lib/ld-other.so.1"}},
		{"need of the dynamic linker", loader.Env{}, []layer{{"bin/p": program("ld-linux-x86-64.so.2")}, {"etc/x": plain{}}}, nil},
		{"musl", loader.Env{}, []layer{{
			"lib": gone{}, "bin/p": loader.Object{Interp: "/lib/ld-musl-x86_64.so.1", Needed: []string{"liba.so", "libc.musl-x86_64.so.1", "libc.so.6", "libpthread.so.0"}},
		}, {"lib/ld-musl-x86_64.so.1": lib(), "usr/local/lib/liba.so": lib(), "usr/lib64/liba.so": lib()}}, []string{"lib/ld-musl-x86_64.so.1", "usr/local/lib/liba.so"}},
		{"musl inherits RUNPATH, after LD_LIBRARY_PATH", loader.Env{LibraryPath: "/opt/x"}, []layer{{
			"lib": gone{}, "bin/p": loader.Object{Interp: "/lib/ld-musl-x86_64.so.1", Needed: []string{"liba.so"}, RunPath: "/opt/y"},
		}, {"lib/ld-musl-x86_64.so.1": lib(), "opt/x/liba.so": lib("libb.so"), "opt/y/liba.so": lib(), "opt/y/libb.so": lib()}}, []string{"lib/ld-musl-x86_64.so.1", "opt/x/liba.so", "opt/y/libb.so"}},
		{"musl's path file", loader.Env{}, []layer{{
			"lib": gone{}, "bin/p": loader.Object{Interp: "/lib/ld-musl-x86_64.so.1", Needed: []string{"liba.so"}}, "etc/ld-musl-x86_64.path": text("/opt/x\n/lib\n"),
		}, {"lib/ld-musl-x86_64.so.1": lib(), "opt/x/liba.so": lib(), "usr/lib/liba.so": lib()}}, []string{"lib/ld-musl-x86_64.so.1", "opt/x/liba.so"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			im := image(tc.env, append([]layer{libc}, tc.layers...)...)
			root := im.Lookup("bin/p")
			if root == nil {
				root = im.Lookup("opt/bin/p")
			}
			if diff := cmp.Diff(tc.want, loaded(im.Closure(root))); diff != "" {
				t.Errorf("closure (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFind lists what a name could mean, in search order.
func TestFind(t *testing.T) {
	t.Parallel()
	im := image(loader.Env{LibraryPath: "/opt/empty:/opt/a"}, libc, layer{
		"opt/empty/libcuda.so.1": plain{}, "opt/a/libcuda.so.1": link("libcuda.so.5"), "opt/a/libcuda.so.5": lib(), "opt/b/libcuda.so.4": loader.Object{SOName: "libcuda.so.1"},
		"usr/lib64/libcuda.so.1": link("gone"), "etc/ld.so.conf": text("/opt/b\n"),
	})
	var got []string
	for _, d := range im.Dirs(loader.AMD64) {
		f, ok := im.FindIn(d, "libcuda.so.1", loader.AMD64)
		if !ok {
			continue
		}
		got = append(got, fmt.Sprintf("%s from %s, library %t", f.Path, f.Dir.From, f.File != nil))
	}
	want := []string{
		"opt/empty/libcuda.so.1 from LD_LIBRARY_PATH, library false",
		"opt/a/libcuda.so.1 from LD_LIBRARY_PATH, library true",
		"opt/b/libcuda.so.4 from etc/ld.so.conf, library true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Find (-want +got):\n%s", diff)
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	im := image(loader.Env{}, libc, layer{
		"usr/bin/java": link("/etc/alternatives/java"), "etc/alternatives/java": link("/usr/lib/jvm/bin/java"), "usr/lib/jvm/bin/java": program(),
		"usr/bin/p": program(), "usr/bin/q": link("p"), "bin": link("usr/bin"), "usr/bin/plugin.so": lib(), "opt/p": program(),
	})
	var got []string
	for _, f := range im.Programs([]string{"/bin", "/usr/bin", "/none", ""}) {
		got = append(got, f.Real)
	}
	if diff := cmp.Diff([]string{"usr/bin/p", "usr/lib/jvm/bin/java"}, got); diff != "" {
		t.Errorf("Programs (-want +got):\n%s", diff)
	}
}

func TestHardLinkToALowerLayer(t *testing.T) {
	t.Parallel()
	lower, upper := layer{"usr/lib/liba.so": lib()}.facts(), layer{"usr/lib/libb.so": plain{}}.facts()
	upper.Hard = []loader.Link{{Path: "usr/lib/libb.so", Target: "usr/lib/liba.so"}}
	lower.Hidden = func(p string) bool { return p == "usr/lib/libb.so" }
	upper.Hidden = func(string) bool { return false }
	im := loader.New([]loader.Layer{lower, upper}, func(string) bool { return true }, loader.Env{})
	if f := im.Lookup("usr/lib/libb.so"); f == nil || f.Path != "usr/lib/libb.so" || f.Layer != 1 {
		t.Errorf("Lookup = %+v, want a file of layer 1", f)
	}
}

func TestIncludesAreBounded(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{10: false, 200: true} {
		var conf strings.Builder
		for i := range n {
			fmt.Fprintf(&conf, "include *a*%d\n", i)
		}
		im := image(loader.Env{}, libc, layer{"etc/ld.so.conf": text(conf.String())})
		im.Dirs(loader.AMD64)
		if got := im.Exceeded() != ""; got != want {
			t.Errorf("%d patterns: exceeded %q, want %t", n, im.Exceeded(), want)
		}
	}
}

func TestCompareNames(t *testing.T) {
	t.Parallel()
	names := []string{"GLIBC_2.4", "GLIBC_2.34", "libcuda.so.1", "libcuda.so.470.256.02", "libcuda.so.550.54.9", "libcuda.so.550.54.15", "libd.so"}
	for i := range names {
		for k := range names {
			if got := loader.CompareNames(names[i], names[k]); got < 0 != (i < k) || got > 0 != (i > k) {
				t.Errorf("CompareNames(%s, %s) = %d", names[i], names[k], got)
			}
		}
	}
}
