// SPDX-License-Identifier: Apache-2.0

package loader_test

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
)

// FuzzSearch asserts of any configuration, search path, link and need: the search
// ends, directories are clean and distinct, and what is not found is missing.
func FuzzSearch(f *testing.F) {
	f.Add("include ld.so.conf.d/*.conf\n/opt # x\n", "$ORIGIN/../$LIB:/a::b", "../x", "liba.so")
	f.Add("include *\n/lib=libc6\nhwcap 1 x", "${PLATFORM}", "/opt/../l/l", "/l/x")
	f.Fuzz(func(t *testing.T, conf, search, target, need string) {
		im := image(loader.Env{LibraryPath: search, WorkingDir: target}, libc, layer{
			"etc/ld.so.conf": text(conf), "etc/ld.so.conf.d/x.conf": text(conf), "etc/ld.so.conf.d/l.conf": link(target), "l": link(target), "l2": link("l/l2/" + target),
			"bin/p": loader.Object{Interp: ldso, Needed: []string{need, "liba.so"}, RPath: search}, "opt/liba.so": loader.Object{Needed: []string{need}, RunPath: search},
		})
		seen := map[string]bool{}
		for _, d := range im.Dirs(loader.AMD64) {
			if strings.HasPrefix(d.Path, "/") || strings.HasSuffix(d.Path, "/") || strings.Contains(d.Path, "//") {
				t.Errorf("directory %q", d.Path)
			}
		}
		for _, d := range im.OwnDirs(im.Lookup("opt/liba.so")) {
			if seen[d.Path] {
				t.Errorf("directory %q twice", d.Path)
			}
			seen[d.Path] = true
		}
		c := im.Closure(im.Lookup("bin/p"))
		names := map[string]bool{}
		for _, l := range c.Loaded {
			names[l.SOName], names[l.Path] = true, true
			if im.Lookup(l.Path) != l.File {
				t.Errorf("%q leads to %q, want %q", l.Path, im.Lookup(l.Path).Real, l.Real)
			}
		}
		for _, m := range c.Missing {
			if names[m.Name] {
				t.Errorf("%q is loaded and missing", m.Name)
			}
		}
	})
}
