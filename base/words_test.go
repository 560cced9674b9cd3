// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/internal/require"
	"github.com/cudabuild/cudabuild/recipes"
)

// oddNames are names of folders that a shell, or a parser of options, would take for more.
var oddNames = []string{"a b", "a;touch X;b", "$(touch X)", "`touch X`", "q'q", "-x", "a\ttab", "*", `b\ackslash`, "a&touch X&b", "~", "#"}

// inOddFolder runs a test with a store in each, and checks that nobody ran what its name says.
func inOddFolder(t *testing.T, names []string, test func(t *testing.T, s *Store)) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			s, err := Open(name) // what a user typed, so from here
			if err != nil {
				t.Fatal(err)
			}
			test(t, s)
			_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
				if filepath.Base(path) == "X" {
					t.Errorf("a shell has run the name of the folder: %s", path)
				}
				return err
			})
		})
	}
}

// TestSourcesOfOddFolder: mmdebstrap's shell copies sources.list, whatever the folder is called.
func TestSourcesOfOddFolder(t *testing.T) {
	if err := Here("linux/amd64"); err != nil {
		require.Missing(t, "root", err)
	}
	o := recipes.OS{Name: "debian13", Bootstrap: recipes.Bootstrap{Suite: "trixie", Components: []string{"main"}}}
	inOddFolder(t, oddNames[1:3], func(t *testing.T, s *Store) {
		list, err := (here{dir: s.dir}).sources(t.Context(), o, "linux/amd64")
		if err != nil || !strings.Contains(list, " trixie main") {
			t.Errorf("sources = %q, %v", list, err)
		}
	})
}

// standIn runs hooks as mmdebstrap does, on a root that holds what they want.
const standIn = `#!/bin/sh
set -e
root=$TMPDIR/root
mkdir -p "$root/etc/apt" "$root/var/lib/apt/lists/partial"
echo used >"$root/etc/apt/sources.list"
sh -c "$(printf '%s\n' "$@" | sed -n 's/^--setup-hook=//p')" exec "$root"
cp "$root/etc/apt/apt.conf.d/cudabuild" "$TMPDIR/settings"
echo list >"$root/var/lib/apt/lists/own.example_Packages"
operands=
for a; do
  case $a in
    --customize-hook=*) sh -c "${a#*=}" exec "$root" ;;
    --) operands=$# ;;
    --logfile=*) echo "an operand was taken for an option: $a" >&2; exit 1 ;;
  esac
done
[ -n "$operands" ] || { echo "no -- before the operands" >&2; exit 1; }
cat "$root/etc/apt/sources.list"
[ ! -e "$root/etc/apt/apt.conf.d/cudabuild" ]
printf '%s\n' "$@" >"$TMPDIR/arguments"
`

// TestMakeInOddFolder: lists come out of the root and the distribution's sources go in.
func TestMakeInOddFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		require.Missing(t, "root", errors.New("not root"))
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "mmdebstrap"), []byte(standIn), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	o := recipes.OS{Name: "debian13", Bootstrap: recipes.Bootstrap{Suite: "trixie", Components: []string{"main"}}}
	inOddFolder(t, oddNames, func(t *testing.T, s *Store) {
		dir, err := os.MkdirTemp(s.dir, "make-") //nolint:usetesting // a folder of the odd name
		if err != nil {
			t.Fatal(err)
		}
		var root bytes.Buffer
		want := bootstrap{o, "linux/amd64", sources{own: "own\n", used: "deb http://own.example trixie main"}}
		_, err = here{s.dir, []byte("Acquire::http::Proxy \"http://proxy.example\";\n")}.root(t.Context(), want, dir, &root)
		if err != nil || root.String() != "own\n" {
			t.Errorf("mmdebstrap: %v, the root's sources are %q, want the distribution's own", err, &root)
		}
		if settings, err := os.ReadFile(filepath.Join(dir, "settings")); err != nil || !strings.Contains(string(settings), "proxy.example") {
			t.Errorf("apt's settings while it runs: %q, %v", settings, err)
		}
		if list, err := os.ReadFile(filepath.Join(dir, "lists", "own.example_Packages")); err != nil || string(list) != "list\n" {
			t.Errorf("the package list: %q, %v", list, err)
		}
	})
}

// TestSuiteIsNoOption: real mmdebstrap, which opens the file of --logfile for writing.
func TestSuiteIsNoOption(t *testing.T) {
	if err := Here("linux/amd64"); err != nil {
		require.Missing(t, "root", err)
	}
	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(t.TempDir(), "bases"))
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range []string{"--logfile=" + file, "--setup-hook=: >" + file} {
		o := recipes.OS{Name: "x", Bootstrap: recipes.Bootstrap{Suite: suite, Components: []string{"main"}}}
		_, _ = (here{dir: s.dir}).sources(t.Context(), o, "linux/amd64")
		_, _ = here{dir: s.dir}.root(t.Context(), bootstrap{o, "linux/amd64", sources{used: "deb copy:/nonexistent trixie main"}}, t.TempDir(), new(bytes.Buffer))
		if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
			t.Fatalf("suite %q: the file has %q, %v", suite, data, err)
		}
	}
}

// TestOpenTakesNoPattern: a folder named like one clears nothing of its neighbour's.
func TestOpenTakesNoPattern(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	neighbour := filepath.Join(dir, "neighbour", "make-1")
	if err := os.MkdirAll(neighbour, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"*", "neighbou[r]", "?eighbour"} {
		own := filepath.Join(dir, name, "make-2")
		if err := os.MkdirAll(own, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(neighbour); err != nil {
			t.Fatalf("Open(%q) removed its neighbour's: %v", name, err)
		}
		if _, err := os.Stat(own); err == nil {
			t.Errorf("Open(%q) left %s", name, own)
		}
	}
}
