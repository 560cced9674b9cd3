// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	needs "github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/verify"
)

// wholeGrid is how many cases there are where CUDABUILD_REQUIRE names "grid", as CI does;
// else each option is tried alone.
const wholeGrid = 600

// option is one value of an axis: a name, and lines that say what it does.
//
//	KEY=value       sets a variable; {KEY} stands for it in all lines
//	path: text      a file of this text, or the compiled one if the text is "@name"
//	path/           a directory
//	path -> target  a symbolic link
//	path == target  a hard link
//	+ line          the same in the upper layer
type option struct {
	name  string
	lines []string
}

// axis is one thing that varies; its first option is the usual one.
type axis []option

const (
	includeAll = "include /etc/ld.so.conf.d/*.conf\n"
	debianConf = "etc/ld.so.conf.d/x86_64-linux-gnu.conf: # Multiarch support\n/usr/local/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n"
	merged     = "lib -> usr/lib"
	merged64   = "lib64 -> usr/lib64"
	loaderHere = "usr/lib64/ld-linux-x86-64.so.2: @ld.so"
	libcHere   = "usr/lib/x86_64-linux-gnu/libc.so.6: @libc"
)

var axes = []axis{
	{ // the root and its linker configuration
		{"debian", []string{"etc/debian_version: 12.5\n", "etc/ld.so.conf: " + includeAll, debianConf, merged, merged64, loaderHere, libcHere}},
		{"rpm", []string{"F=usr/lib64", "etc/ld.so.conf: include ld.so.conf.d/*.conf\n", merged, merged64, loaderHere, "usr/lib64/libc.so.6: @libc"}},
		{"unmerged", []string{"etc/debian_version: 10.1\n", "etc/ld.so.conf: " + includeAll, debianConf, "lib64/ld-linux-x86-64.so.2: @ld.so", "lib/x86_64-linux-gnu/libc.so.6: @libc"}},
		{"distroless", []string{"etc/debian_version: 12.5\n", merged, merged64, loaderHere, libcHere}},
		{"no-multiarch-conf", []string{"etc/debian_version: 12.5\n", "etc/ld.so.conf: " + includeAll, merged, merged64, loaderHere, libcHere}},
	},
	{ // the host's folder
		{"own", nil},
		{"host-lib64", []string{"F=usr/lib64"}},
		{"host-multiarch", []string{"F=usr/lib/x86_64-linux-gnu"}},
		{"host-aside", []string{"F=usr/local/nvidia/lib64"}},
	},
	{ // the host's driver
		{"v535", nil},
		{"v470", []string{"V=470.256.02"}},
		{"v550-older", []string{"V=550.40.07"}},
		{"v550-same", []string{"V=550.54.14"}},
		{"v550-newer", []string{"V=550.163.01"}},
		{"v580", []string{"V=580.65.06"}},
	},
	{ // where cuda-compat is
		{"cuda", nil},
		{"linked", []string{"D=usr/local/cuda-12.4/compat", "usr/local/cuda -> cuda-12.4"}},
		{"linked-absolute", []string{"D=usr/local/cuda-12.4/compat", "usr/local/cuda -> /usr/local/cuda-12.4"}},
		{"alternatives", []string{"D=usr/local/cuda-12.4/compat", "usr/local/cuda -> /etc/alternatives/cuda", "etc/alternatives/cuda -> /usr/local/cuda-12.4"}},
		{"unlinked", []string{"D=usr/local/cuda-12.4/compat"}},
		{"other-release", []string{"D=usr/local/cuda-12.4/compat", "usr/local/cuda -> cuda-11.8", "usr/local/cuda-11.8/version.txt: CUDA 11.8\n"}},
		{"dangling", []string{"D=usr/local/cuda-12.4/compat", "usr/local/cuda -> cuda-11.8"}},
		{"lib.real", []string{"D=usr/local/cuda/compat/lib.real"}},
		{"compat-linked", []string{"D=opt/compat", "usr/local/cuda/compat -> /opt/compat"}},
	},
	{ // what is in it
		{"one", []string{"{D}/libcuda.so.{C}: @{N}", "{D}/libcuda.so.1 -> libcuda.so.{C}", "{D}/libcuda.so -> libcuda.so.1"}},
		{"nothing", nil},
		{"bare", []string{"{D}/libcuda.so.{C}: @{N}"}},
		{"soname-only", []string{"{D}/libcuda.so.1: @{N}"}},
		{"two", []string{"{D}/libcuda.so.{C}: @{N}", "{D}/libcuda.so.555.42.06: @plain", "{D}/libcuda.so.1 -> libcuda.so.{C}"}},
		{"and-empty", []string{"{D}/libcuda.so.{C}: @{N}", "{D}/libcuda.so.1.1: ", "{D}/libcuda.so.1 -> libcuda.so.{C}"}},
		{"and-link", []string{"{D}/libcuda.so.{C}: @{N}", "{D}/libcuda.so.9.9 -> libcuda.so.{C}", "{D}/libcuda.so.1 -> libcuda.so.{C}"}},
		{"and-folder", []string{"{D}/libcuda.so.{C}: @{N}", "{D}/libcuda.so.9.9/"}},
		{"and-hard-link", []string{"{D}/libcuda.so.{C}: @{N}", "{D}/libcuda.so.1.1 == {D}/libcuda.so.{C}"}},
		{"hard-link", []string{"opt/store/libcuda: @{N}", "{D}/libcuda.so.{C} == opt/store/libcuda"}},
		{"hard-link-below", []string{"opt/store/libcuda: @{N}", "+ {D}/libcuda.so.{C} == opt/store/libcuda"}},
		{"soft-link", []string{"opt/store/libcuda.so.{C}: @{N}", "{D}/libcuda.so.{C} -> /opt/store/libcuda.so.{C}", "{D}/libcuda.so.1 -> libcuda.so.{C}"}},
		{"empty", []string{"{D}/libcuda.so.{C}: ", "{D}/libcuda.so.1 -> libcuda.so.{C}"}},
		{"empty-soname", []string{"{D}/libcuda.so.{C}: @{N}", "{D}/libcuda.so.1: "}},
		{"soname-file", []string{"{D}/libcuda.so.{C}: @{N}", "{D}/libcuda.so.1: @plain"}},
		{"short-name", []string{"{D}/libcuda.so.550.54: @{N}", "{D}/libcuda.so.1 -> libcuda.so.550.54"}},
		{"odd-name", []string{"{D}/libcuda.so.550.54.14.bak: @{N}"}},
		{"hwcaps", []string{"{D}/libcuda.so.{C}: @{N}", "{D}/libcuda.so.1 -> libcuda.so.{C}", "{D}/glibc-hwcaps/x86-64-v2/libcuda.so.1: @plain"}},
	},
	{ // the library's note
		{"plain", nil},
		{"allows", []string{"N=allows"}},
		{"forbids", []string{"N=forbids"}},
		{"broken", []string{"N=broken"}},
		{"cut", []string{"N=cut"}},
		{"renamed", []string{"N=renamed"}},
	},
	{ // what the upper layer does
		{"one-layer", nil},
		{"taken-off", []string{"+ {D}/.wh.libcuda.so.{C}: "}},
		{"folder-off", []string{"+ {D}/../.wh.compat: ", "+ {D}/../.wh.lib.real: "}},
		{"opaque", []string{"+ {D}/.wh..wh..opq: "}},
		{"emptied", []string{"+ {D}/libcuda.so.{C}: "}},
		{"replaced", []string{"+ {D}/libcuda.so.{C}: @plain"}},
		{"second", []string{"+ {D}/libcuda.so.560.35.03: @plain"}},
		{"linked-above", []string{"+ {D} -> /opt/other"}},
	},
	{ // the image's linker configuration
		{"no-conf", nil},
		{"000", []string{"etc/ld.so.conf.d/000-x.conf: /{D}\n"}},
		{"cuda-12-4", []string{"etc/ld.so.conf.d/cuda-12-4.conf: /{D}\n"}},
		{"zzz", []string{"etc/ld.so.conf.d/zzz-compat.conf: /{D}\n"}},
		{"link-named", []string{"etc/ld.so.conf.d/988_cuda-12.conf: /usr/local/cuda/compat/\n"}},
		{"not-conf", []string{"etc/ld.so.conf.d/cuda.txt: /{D}\n"}},
		{"other-first", []string{"etc/ld.so.conf.d/00-a.conf: /opt/other\n"}},
		{"other-last", []string{"etc/ld.so.conf.d/zzz.conf: /opt/other # last\n"}},
		{"main-before", []string{"etc/ld.so.conf: /{D}\n" + includeAll}},
		{"main-after", []string{"etc/ld.so.conf: " + includeAll + "/{D}\n"}},
		{"main-alone", []string{"etc/ld.so.conf: /{D}\n/usr/lib64\n"}},
		{"main-empty", []string{"etc/ld.so.conf: /opt/none\n/usr/lib64\n"}},
		{"include-again", []string{"etc/ld.so.conf.d/b.conf: include /opt/conf/*.conf\n", "opt/conf/my.conf: /{D}\n"}},
		{"conf-linked", []string{"etc/ld.so.conf.d/a.conf -> /opt/conf/ld.so.conf", "opt/conf/ld.so.conf: /{D}\n"}},
		{"conf-off", []string{"etc/ld.so.conf.d/a.conf: /{D}\n", "+ etc/ld.so.conf.d/.wh.a.conf: "}},
		{"folder-commented", []string{"etc/ld.so.conf.d/a.conf: /{D} # first\n/{F} # then\n"}},
		{"nvidia", []string{"etc/ld.so.conf.d/nvidia.conf: /usr/local/nvidia/lib\n/usr/local/nvidia/lib64\n"}},
		{"kind", []string{"etc/ld.so.conf.d/a.conf: hwcap 1 nosegneg\n\t/opt/other=libc6\n"}},
		{"folder-named", []string{"etc/ld.so.conf.d/00-a.conf: /{F}\n/{D}\n"}},
		{"both", []string{"etc/ld.so.conf.d/a.conf: /{D}\n/opt/other\n"}},
	},
	{ // LD_LIBRARY_PATH
		{"no-env", nil},
		{"env-compat", []string{"ENV=/{D}"}},
		{"env-other", []string{"ENV=/opt/none:/opt/other"}},
		{"env-host", []string{"ENV=/{F}:/{D}"}},
		{"env-relative", []string{"ENV=other", "WORKDIR=opt", "opt/"}},
		{"env-empty", []string{"ENV=/opt/none:", "WORKDIR=opt/other", "opt/other/"}},
		{"env-nvidia", []string{"ENV=/usr/local/nvidia/lib:/usr/local/nvidia/lib64"}},
		{"env-stubs", []string{"ENV=/usr/local/cuda/lib64/stubs", "usr/local/cuda-12.4/lib64/stubs/libcuda.so: @plain"}},
	},
	{ // the program
		{"dlopen", nil},
		{"needs", []string{"P=needs"}},
		{"runpath", []string{"P=runpath"}},
		{"rpath", []string{"P=rpath"}},
		{"runpath-other", []string{"P=runpath-other"}},
		{"origin", []string{"P=origin"}},
		{"rpath-origin", []string{"P=rpath-origin"}},
		{"needs-origin", []string{"P=needs-origin"}},
		{"via", []string{"P=via", "opt/app/libhelper.so: @helper"}},
		{"via-rpath", []string{"P=via-rpath", "opt/app/libhelper.so: @helper"}},
		{"via-own", []string{"P=via", "opt/app/libhelper.so: @helper-runpath"}},
		{"via-rpath-own", []string{"P=via-rpath", "opt/app/libhelper.so: @helper-runpath"}},
		{"via-needs", []string{"P=via", "opt/app/libhelper.so: @helper-needs"}},
		{"via-both", []string{"P=via-needs", "opt/app/libhelper.so: @helper-runpath"}},
	},
	{ // another folder with a libcuda
		{"other", []string{"opt/other/libcuda.so.545.23.08: @plain", "opt/other/libcuda.so.1 -> libcuda.so.545.23.08"}},
		{"other-gone", nil},
		{"other-bare", []string{"opt/other/libcuda.so.545.23.08: @plain"}},
		{"other-empty", []string{"opt/other/libcuda.so.1: "}},
		{"other-file", []string{"opt/other/libcuda.so.1: @plain"}},
		{"other-linked", []string{"opt/other/libcuda.so.1 -> ../store/libcuda.so.545.23.08", "opt/store/libcuda.so.545.23.08: @plain"}},
		{"other-versioned", []string{"opt/other/libcuda.so.545.23.08 -> ../store/libcuda.so.545.23.08", "opt/store/libcuda.so.545.23.08: @plain"}},
		{"other-dangling", []string{"opt/other/libcuda.so.1 -> libcuda.so.545.23.08"}},
		{"other-two", []string{"opt/other/libcuda.so.545.23.08: @plain", "opt/other/libcuda.so.560.35.03: @plain", "opt/other/libcuda.so.1 -> libcuda.so.545.23.08"}},
		{"other-for-editor", []string{"opt/other/libcuda.so -> ../store/libcuda.so.545.23.08", "opt/store/libcuda.so.545.23.08: @plain"}},
		{"other-hwcaps", []string{"opt/other/glibc-hwcaps/x86-64-v2/libcuda.so.1: @plain"}},
	},
	{ // what the image has in the host's folder
		{"clean", nil},
		{"mount-points", []string{"{F}/libcuda.so.1: ", "{F}/libcuda.so: ", "{F}/libcuda.so.{V}: "}},
		{"dangling-soname", []string{"{F}/libcuda.so.1 -> /usr/lib/nvidia/libcuda.so.1"}},
		{"older-there", []string{"{F}/libcuda.so.450.80.02: @plain", "{F}/libcuda.so.1 -> libcuda.so.450.80.02"}},
		{"newer-there", []string{"{F}/libcuda.so.600.10: @plain", "{F}/libcuda.so.1 -> libcuda.so.600.10"}},
		{"file-there", []string{"{F}/libcuda.so.1: @plain"}},
		{"newer-linked", []string{"{F}/libcuda.so.600.10 -> /opt/store/libcuda.so.600.10", "opt/store/libcuda.so.600.10: @plain"}},
		{"hwcaps-there", []string{"{F}/glibc-hwcaps/x86-64-v2/libcuda.so.1: @plain"}},
	},
}

// hookCase is one option of each axis.
type hookCase struct {
	name string
	vars map[string]string
	file [2]files // lower and upper layer
}

// newCase puts options together.
func (j judgeTools) newCase(options []option) hookCase {
	c := hookCase{
		vars: map[string]string{"F": "usr/lib/x86_64-linux-gnu", "V": "535.54.03", "D": "usr/local/cuda/compat", "C": "550.54.14", "N": "plain", "P": "dlopen", "ENV": "", "WORKDIR": ""},
		file: [2]files{{"opt/none": {Dir: true}}, {"etc/image": {Data: "upper"}}},
	}
	lines := []string{"opt/app/probe: @{P}"}
	var names []string
	for i, o := range options {
		lines = append(lines, o.lines...)
		if o.name != axes[i][0].name {
			names = append(names, o.name)
		}
	}
	c.name = strings.Join(append(names, options[0].name)[:max(1, len(names))], ",")
	for range 2 { // a variable may stand for another
		for _, line := range lines {
			if key, value, ok := strings.Cut(line, "="); ok && key == strings.ToUpper(key) && !strings.ContainsAny(key, " /") {
				c.vars[key] = c.expand(value)
			}
		}
	}
	for _, line := range lines {
		j.line(c, line)
	}
	return c
}

func (c hookCase) expand(s string) string {
	for key, value := range c.vars {
		s = strings.ReplaceAll(s, "{"+key+"}", value)
	}
	return s
}

// line adds what one line says.
func (j judgeTools) line(c hookCase, line string) {
	line, layer := c.expand(line), c.file[0]
	if rest, ok := strings.CutPrefix(line, "+ "); ok {
		line, layer = rest, c.file[1]
	}
	if p, text, ok := strings.Cut(line, ": "); ok {
		e := imagetest.Entry{Data: text}
		if name, ok := strings.CutPrefix(text, "@"); ok {
			e = imagetest.Entry{Data: j.data[name], Mode: 0o755}
		}
		layer[path.Clean(p)] = e
	} else if p, target, ok := strings.Cut(line, " -> "); ok {
		layer[p] = imagetest.Entry{Symlink: target}
	} else if p, target, ok := strings.Cut(line, " == "); ok {
		layer[p] = imagetest.Entry{Link: target}
	} else if p, ok := strings.CutSuffix(line, "/"); ok {
		layer[p] = imagetest.Entry{Dir: true}
	}
}

// grid returns the cases: every option alone with every driver, then what chance puts
// together, always the same.
func (j judgeTools) grid() []hookCase {
	var cases []hookCase
	seen := map[string]bool{}
	add := func(options []option) {
		if c := j.newCase(options); !seen[c.name] {
			seen[c.name] = true
			cases = append(cases, c)
		}
	}
	usual := make([]option, len(axes))
	for i := range axes {
		usual[i] = axes[i][0]
	}
	for i, a := range axes {
		for _, o := range a {
			options := slices.Clone(usual)
			options[i] = o
			add(options)
		}
	}
	r := rand.New(rand.NewPCG(12, 1))
	for needs.Whole("grid") && len(cases) < wholeGrid {
		options := slices.Clone(usual)
		for i, a := range axes {
			if r.IntN(5) < 2 {
				options[i] = a[r.IntN(len(a))]
			}
		}
		add(options)
	}
	return cases
}

// TestHookGrid asks which libcuda a program loads in containers: verify of the image, and
// nvidia-cdi-hook, ldconfig and the dynamic linker of the unpacked root. Run one case by
// its name: the options that are not the usual ones.
func TestHookGrid(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	outcomes := make(chan string, wholeGrid)
	t.Run("cases", func(t *testing.T) {
		for _, c := range j.grid() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				outcomes <- j.compare(t, c)
			})
		}
	})
	close(outcomes)
	count := map[string]int{}
	for o := range outcomes {
		count[o]++
	}
	t.Logf("%v", count)
	for _, o := range []string{"host", "compat", "image", "none"} {
		if count[o] == 0 && len(count) > 1 {
			t.Errorf("no case in which the program gets %s: %v", o, count)
		}
	}
}

// compare judges one case and returns what kind of library it came to.
func (j judgeTools) compare(t *testing.T, c hookCase) string {
	t.Helper()
	layers := [][]byte{archived(c.file[0]), archived(c.file[1])}
	root := unpack(t, layers)
	got, kind := predicted(t, root, layers, c)
	if want := j.loaded(t, root, c); got != want {
		t.Errorf("verify says %s, the program loads %s\n%s", got, want, c.text())
	}
	return kind
}

// text is the image in words.
func (c hookCase) text() string {
	var b strings.Builder
	for i, f := range c.file {
		for _, name := range slices.Sorted(maps.Keys(f)) {
			e := f[name]
			fmt.Fprintf(&b, "\t%d %s %s%s %.60q (%d bytes)\n", i, name, e.Symlink, e.Link, strings.TrimLeft(e.Data, "\x7f"), len(e.Data))
		}
	}
	return fmt.Sprintf("%v\n%s", c.vars, b.String())
}

// predicted is verify's answer, in the words of loaded.
func predicted(t *testing.T, root string, layers [][]byte, c hookCase) (file, kind string) {
	t.Helper()
	var blobs []*imagetest.Blob
	for _, l := range layers {
		blobs = append(blobs, imagetest.Layer(imagetest.Plain, l))
	}
	image := imagetest.WithEntrypoint(imagetest.WithEnv(imagetest.New(blobs...), "LD_LIBRARY_PATH="+c.vars["ENV"]), "/opt/app/probe")
	image = imagetest.In(image, "/"+c.vars["WORKDIR"])
	r, err := verify.New(verify.Options{}).Image(t.Context(), "test", image)
	if err != nil || r.Error != "" {
		t.Fatalf("%v, %s", err, r.Error)
	}
	l := r.Portability.Needs.Loads(compat.Host{Driver: c.vars["V"], Folder: c.vars["F"]})
	at, driver := l.Path, l.Own.Driver
	switch {
	case l.Path != "" && l.Own.Broken, l.Lost != "":
		return "none", "none"
	case l.Compat != nil:
		kind, at, driver = "compat", l.Compat.Path, l.Compat.Driver
	case l.Path != "":
		kind = "image"
	default:
		return "host", "host"
	}
	if file = realIn(t, root, at); file != at && path.Base(file) != "libcuda.so."+driver {
		file = path.Join(path.Dir(at), "libcuda.so."+driver) // ldconfig will make the link lead there
	}
	return realIn(t, root, file), kind
}
