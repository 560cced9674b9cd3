// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// built is source of a program that says which library it was built with, as cudabuild's samples do.
func built(library string) string {
	return `__asm__(".pushsection .note.cudabuild,\"a\",%note\n.balign 4\n.long 10,2f-1f,1\n.asciz \"cudabuild\"\n.balign 4\n"
		"1:.ascii \"` + library + `\\n\"\n2:.balign 4\n.popsection");` + main
}

// TestUnbound: an older library, symbols that nobody has, and where nothing is said.
func TestUnbound(t *testing.T) {
	t.Parallel()
	g := newSymbolGrid(t)
	file := func(out, source string, flags ...string) imagetest.Entry {
		return imagetest.Entry{Data: read(t, g.compile(t, out, source, flags...)), Mode: 0o755}
	}
	link := func(name string) imagetest.Entry { return imagetest.Entry{Symlink: name} }
	lib := func(out, soname, source string, flags ...string) imagetest.Entry {
		return file(out, source, append([]string{"-shared", "-fPIC", "-Wl,-soname," + soname}, flags...)...)
	}
	curand := lib("libcurand.so", "libcurand.so.10", "int other;")
	app := file("built", built("libcurand.so 10.3.5"), g.dir+"/libcurand.so")
	loose := file("loose", built("libcurand.so 10.3.5"))
	lib("libcuda.so", "libcuda.so.1", "int foo(void) { return 0; }")
	driver := file("driver", "int foo(void); int (*use)(void) = foo;"+main, g.dir+"/libcuda.so")
	both := file("both", askers["pointer"]+main, g.dir+"/function default V1", g.dir+"/libcuda.so")
	needy := file("needy", askers["pointer"]+main, g.dir+"/function plain")
	caller := file("caller", askers["call"]+main, g.dir+"/function plain", "-Wl,-z,lazy")
	gone, goneOfV1 := imagetest.Entry{Data: read(t, g.dir+"/function gone"), Mode: 0o755}, imagetest.Entry{Data: read(t, g.dir+"/function gone of V1"), Mode: 0o755}
	var many strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&many, "int f%d;\n", i)
	}
	foreign := lib("foreign", "libgcompat.so.0", "int other;") // a dynamic linker that is not glibc's
	for _, tc := range []struct {
		name, env  string
		files      files
		why, later string
	}{
		{"older", "", files{"opt/app": app, "opt/libcurand.so.10": link("libcurand.so.10.3.0.86"), "opt/libcurand.so.10.3.0.86": curand}, "opt/libcurand.so.10.3.0.86 is older than 10.3.5, which opt/app was built with", ""},
		{"the same", "", files{"opt/app": app, "opt/libcurand.so.10": link("libcurand.so.10.3.5.147"), "opt/libcurand.so.10.3.5.147": curand}, "", ""},
		{"newer", "", files{"opt/app": app, "opt/libcurand.so.10": link("libcurand.so.10.10"), "opt/libcurand.so.10.10": curand}, "", ""},
		{"no version but the SONAME's", "", files{"opt/app": app, "opt/libcurand.so.10": curand}, "", ""},
		{"a version that is none", "", files{"opt/app": app, "opt/libcurand.so.10": link("libcurand.so.10.x"), "opt/libcurand.so.10.x": curand}, "", ""},
		{"not loaded", "", files{"opt/app": loose, "opt/libcurand.so.10": link("libcurand.so.10.3.0.86"), "opt/libcurand.so.10.3.0.86": curand}, "", ""},
		{"symbol", "", files{"opt/app": needy, "opt/libdef.so": gone}, "opt/app: undefined symbol: foo, which nothing that opt/app loads defines", ""},
		{"call", "", files{"opt/app": caller, "opt/libdef.so": gone}, "", "opt/app: undefined symbol: foo, which nothing that opt/app loads defines: the first call ends the program"},
		{"call, all bound at once", "LD_BIND_NOW=1", files{"opt/app": caller, "opt/libdef.so": gone}, "opt/app: undefined symbol: foo", ""},
		{"the host's library", "", files{"opt/app": driver}, "", ""},
		{"the host's library beside the image's", "", files{"opt/app": driver, "opt/libcuda.so.1": lib("other", "libcuda.so.1", "int other;")}, "", ""},
		{"of a library's version, with the host's library", "", files{"opt/app": both, "opt/libdef.so": goneOfV1}, "opt/app: undefined symbol: foo, version V1", ""},
		{"too many symbols to be known", "", files{"opt/app": needy, "opt/libdef.so": lib("many", "libdef.so", many.String())}, "", ""},
		{"another dynamic linker", "", files{"opt/app": needy, "opt/libdef.so": gone, "lib64/ld-linux-x86-64.so.2": foreign}, "", ""},
		{"preloaded from a place that is not known", "LD_PRELOAD=libpre.so", files{"opt/app": needy, "opt/libdef.so": gone}, "", ""},
	} {
		p := g.judge(t, symbolCase{name: tc.name, env: tc.env}, tc.files).Portability
		if !same(p.CannotStart, tc.why) || !same(p.Unbound, tc.later) {
			t.Errorf("%s: cannot start because %q, later %q, want %q and %q", tc.name, p.CannotStart, p.Unbound, tc.why, tc.later)
		}
	}
}

// same reports whether a text begins as wanted; "" is wanted alone.
func same(got, want string) bool { return strings.HasPrefix(got, want) && (got == "") == (want == "") }
