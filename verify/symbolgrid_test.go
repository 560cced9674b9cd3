// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/verify"
)

// askers are ways to ask for the symbol foo.
var askers = map[string]string{
	"call":     `int foo(void); int use(void) { return foo(); }`,
	"pointer":  `int foo(void); int (*use)(void) = foo;`,
	"variable": `extern int foo; int use(void) { return foo; }`,
	"weak":     `__attribute__((weak)) int foo(void); int use(void) { return foo ? foo() : 0; }`,
}

// definitions are libraries that may have it, with the versions that they offer.
var definitions = map[string]struct{ source, versions string }{
	"plain":       {`FOO`, ""},
	"gone":        {`int other;`, ""},
	"gone of V1":  {`int other;`, "V1 { local: foo; };"},
	"default V1":  {`FOO`, "V1 { foo; };"},
	"default V2":  {`FOO`, "V1 { local: no; }; V2 { foo; };"},
	"former V1":   {`FOO __asm__(".symver foo,foo@V1");`, "V1 { local: foo; };"},
	"former V2":   {`FOO __asm__(".symver foo,foo@V2");`, "V1 { local: foo; }; V2 { };"},
	"both":        {`ONE __asm__(".symver one,foo@V1"); TWO __asm__(".symver two,foo@@V2");`, "V1 { local: one; two; }; V2 { };"},
	"weak":        {`__attribute__((weak)) FOO`, ""},
	"hidden":      {`__attribute__((visibility("hidden"))) FOO`, ""},
	"other's V1":  {`FOO`, "W1 { foo; }; V1 { };"},
	"unversioned": {`FOO int libc(void); int puts(const char *); int use_libc(void) { return puts(""); }`, ""},
}

// symbolGrid compiles the programs and libraries of all cases once.
type symbolGrid struct {
	dir    string
	system *imagetest.Blob
	verify *verify.Verifier
}

func newSymbolGrid(t *testing.T) symbolGrid {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		require.Missing(t, "gcc", err)
	}
	if runtime.GOARCH != "amd64" {
		require.Missing(t, "amd64", errors.New("the grid's images are for it"))
	}
	system := files{}
	for at, file := range map[string]string{"lib/x86_64-linux-gnu/libc.so.6": "libc.so.6", "lib64/ld-linux-x86-64.so.2": "ld-linux-x86-64.so.2"} {
		where, err := exec.CommandContext(t.Context(), "gcc", "-print-file-name="+file).Output()
		if err != nil {
			t.Fatal(err)
		}
		system[at] = imagetest.Entry{Data: read(t, strings.TrimSpace(string(where))), Mode: 0o755}
	}
	g := symbolGrid{t.TempDir(), layer(system), verify.New(verify.Options{})}
	g.define(t)
	g.ask(t)
	return g
}

// compile makes a file of the grid out of a source and flags.
func (g symbolGrid) compile(t *testing.T, out, source string, args ...string) string {
	t.Helper()
	out = filepath.Join(g.dir, out)
	cmd := exec.CommandContext(t.Context(), "gcc", slices.Concat([]string{"-w", "-x", "c", "-o", out, "-", "-x", "none", "-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined", "-Wl,--unresolved-symbols=ignore-in-shared-libs", "-Wl,--no-as-needed"}, args)...)
	cmd.Stdin = strings.NewReader(source)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc %q of %s: %v: %s", args, source, err, text)
	}
	return out
}

// define makes each library twice, with a function and with a variable.
func (g symbolGrid) define(t *testing.T) {
	t.Helper()
	for name, d := range definitions {
		script := filepath.Join(g.dir, "versions")
		if err := os.WriteFile(script, []byte(d.versions), 0o600); err != nil {
			t.Fatal(err)
		}
		for kind, forms := range map[string]string{"function": "int %s(void) { return 1; }", "variable": "int %s = 1;"} {
			source := d.source
			for word, symbol := range map[string]string{"FOO": "foo", "ONE": "one", "TWO": "two"} {
				source = strings.ReplaceAll(source, word, fmt.Sprintf(forms, symbol))
			}
			args := []string{"-shared", "-fPIC", "-Wl,-soname,libdef.so"}
			if d.versions != "" {
				args = append(args, "-Wl,--version-script="+script)
			}
			g.compile(t, kind+" "+name, source, args...)
		}
	}
}

const main = "\nint puts(const char *);\nint main(void) { puts(\"started\"); return 0; }\n"

// ask makes programs and libraries that ask for foo of a library with versions, and of one without.
func (g symbolGrid) ask(t *testing.T) {
	t.Helper()
	for ask, source := range askers {
		for _, linked := range []string{"plain", "default V1"} {
			def := filepath.Join(g.dir, kindOf(ask)+" "+linked)
			for _, bind := range []string{"lazy", "now"} {
				name := strings.Join([]string{ask, linked, bind}, " ")
				flags := []string{def, "-Wl,-z," + bind}
				g.compile(t, "program "+name, source+main, flags...)
				g.compile(t, "copy "+name, source+main, append(flags, "-no-pie", "-fno-pic")...)
				g.compile(t, "library "+name, source, append(flags, "-shared", "-fPIC", "-Wl,-soname,libask.so")...)
				g.compile(t, "symbolic "+name, source, append(flags, "-shared", "-fPIC", "-Wl,-Bsymbolic", "-Wl,--hash-style=sysv", "-Wl,-soname,libask.so")...)
			}
		}
	}
	asks := filepath.Join(g.dir, "library call plain lazy")
	mid := g.compile(t, "mid", "", "-shared", "-fPIC", "-Wl,-soname,libmid.so", asks)
	g.compile(t, "app", main, asks)
	g.compile(t, "deep", main, mid)
	for kind, source := range map[string]string{"function": "int foo(void) { return 2; }", "variable": "int foo = 2;"} {
		g.compile(t, "app with a "+kind, source+main, asks, "-rdynamic")
	}
}

func kindOf(ask string) string {
	if ask == "variable" {
		return "variable"
	}
	return "function"
}

// symbolCase is a folder of files of the grid, by the names that they have there.
type symbolCase struct {
	name  string
	files map[string]string
	env   string
}

func symbolCases() (cases []symbolCase) {
	for ask := range askers {
		for _, linked := range []string{"plain", "default V1"} {
			for _, bind := range []string{"lazy", "now"} {
				for def := range definitions {
					name, found := strings.Join([]string{ask, linked, bind}, " "), kindOf(ask)+" "+def
					add := func(how, env string, files map[string]string) {
						files["libdef.so"] = found
						cases = append(cases, symbolCase{strings.Join([]string{how, name, "found", def}, ", "), files, env})
					}
					add("program", "", map[string]string{"app": "program " + name})
					add("program at a fixed address", "", map[string]string{"app": "copy " + name})
					add("library", "", map[string]string{"app": "app", "libask.so": "library " + name})
					add("symbolic library, deep", "", map[string]string{"app": "deep", "libmid.so": "mid", "libask.so": "symbolic " + name})
					add("program defines it", "", map[string]string{"app": "app with a " + kindOf(ask), "libask.so": "library " + name})
					add("preloaded", "LD_PRELOAD=/opt/libpre.so", map[string]string{"app": "app", "libask.so": "library " + name, "libpre.so": kindOf(ask) + " plain"})
				}
			}
		}
	}
	return cases
}

// TestSymbolGrid has the machine's dynamic linker start what is judged, as it does by itself and with all
// symbols bound at once.
func TestSymbolGrid(t *testing.T) {
	t.Parallel()
	g := newSymbolGrid(t)
	count, fails := 0, map[string]int{}
	for i, tc := range symbolCases() {
		dir := filepath.Join(g.dir, fmt.Sprint("case", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		all := files{}
		for at, from := range tc.files {
			if err := os.Link(filepath.Join(g.dir, from), filepath.Join(dir, at)); err != nil {
				t.Fatal(err)
			}
			all["opt/"+at] = imagetest.Entry{Data: read(t, filepath.Join(dir, at)), Mode: 0o755}
		}
		p := g.judge(t, tc, all).Portability
		count++
		for how, why := range map[string]string{"": p.CannotStart, "LD_BIND_NOW=1": p.CannotBind()} {
			said := g.start(t, dir, strings.ReplaceAll(tc.env, "/opt", dir), how)
			if (why == "") != (said == "") {
				t.Errorf("%s: %s: the dynamic linker says %q, predicted %q", tc.name, how, said, why)
			}
			if said != "" {
				fails[how]++
			}
		}
	}
	t.Logf("%d cases; what does not start: %v", count, fails)
}

func (g symbolGrid) judge(t *testing.T, tc symbolCase, all files) verify.Report {
	t.Helper()
	img, err := mutate.Config(imagetest.New(g.system, layer(all)), v1.Config{Entrypoint: []string{"/opt/app"}, Env: []string{tc.env}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := g.verify.Image(t.Context(), tc.name, img)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// start returns what the dynamic linker says of a program that it does not start, "" if it does.
func (g symbolGrid) start(t *testing.T, dir string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "app"))
	cmd.Env = append([]string{"LC_ALL=C"}, slices.DeleteFunc(env, func(e string) bool { return e == "" })...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if out, _ := cmd.Output(); string(out) == "started\n" {
		return ""
	}
	if stderr.Len() == 0 {
		t.Errorf("%s starts nothing and says nothing", dir)
	}
	return stderr.String()
}
