// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/spec"
)

func ExampleParse() {
	catalog, err := recipes.Load()
	if err != nil {
		panic(err)
	}
	m, err := matrix.Parse("matrix.yaml", []byte(`
version: 1
image: cuda
defaults: {flavors: [base], samples: [nbody]}
groups:
  default:
    - {os: [debian13], cuda: ["12.4"]}
    - {os: [debian11], cuda: ["11.2"], samples: []}
`), catalog)
	if err != nil {
		panic(err)
	}
	cells, err := m.Expand("default", nil)
	if err != nil {
		panic(err)
	}
	for _, c := range cells {
		fmt.Println(c.Tags[0])
	}
	// Output:
	// cuda:12.4-base-debian13
	// cuda:12.4-nbody-debian13
	// cuda:11.2-base-debian11
}

func ExampleProblems() {
	catalog, err := recipes.Load()
	if err != nil {
		panic(err)
	}
	_, err = matrix.Parse("matrix.yaml", []byte(`version: 1
image: cuda
groups:
  default:
    - {os: [debain13], cuda: ["12.4"]}
`), catalog)
	var problems spec.Problems
	if errors.As(err, &problems) {
		fmt.Println(problems[0].Error())
		fmt.Println(problems[0].Hint)
	}
	// Output:
	// matrix.yaml:5:13: unknown OS "debain13"
	// did you mean "debian13"? (one of your own: name the folder of recipes that has it with --recipes)
}

func TestExpandOnly(t *testing.T) {
	t.Parallel()
	m, err := matrix.Load("testdata/good/default.yaml", catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		group string
		only  []string
		want  []string // IDs, or the problems with their hints
	}{
		"one":             {"default", []string{"12.4-base-debian13"}, []string{"12.4-base-debian13"}},
		"glob":            {"default", []string{"*-base-*"}, []string{"11.8-base-debian12", "12.4-base-debian13"}},
		"in matrix order": {"default", []string{"12.4-nbody-*", "11.8-devel-*", "*-devel-debian12"}, []string{"11.8-devel-debian12", "12.4-nbody-debian13"}},
		"no match":        {"default", []string{"12.4-bas-debian13"}, []string{`f: no cell of group "default" matches "12.4-bas-debian13"`, "near: 12.4-base-debian13, 11.8-base-debian12, 12.4-nbody-debian13"}},
		"other group":     {"default", []string{"11.2-*"}, []string{`f: no cell of group "default" matches "11.2-*"`, `11.2-base-debian11 is in group "debian"`}},
		"bad glob":        {"default", []string{"[a", "*"}, []string{`f: --only "[a": syntax error in pattern`, "a glob has * ? and [a-z]; \\ before one of these takes it as it is"}},
		"unknown group":   {"debain", nil, []string{`f: no group "debain"`, `did you mean "debian"?`}},
		"no group":        {"", nil, []string{`f: no group ""`, "known: default, debian"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			cells, err := m.Expand(test.group, test.only)
			for _, c := range cells {
				got = append(got, c.ID)
			}
			var problems spec.Problems
			if errors.As(err, &problems) {
				got = append(got, strings.Replace(problems[0].Error(), "testdata/good/default.yaml", "f", 1), problems[0].Hint)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Expand(%q, %q) (-want +got):\n%s", test.group, test.only, diff)
			}
		})
	}
}

func TestExpandSharesNothing(t *testing.T) {
	t.Parallel()
	m, err := matrix.Load("testdata/good/default.yaml", catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	first, _ := m.Expand("debian", nil)
	want, _ := json.Marshal(first)
	for _, c := range first {
		c.Platforms[0], c.Tags[0], c.Groups[0] = "x", "y", "z"
	}
	again, _ := m.Expand("debian", nil)
	if got, _ := json.Marshal(again); !bytes.Equal(got, want) {
		t.Errorf("Expand after a change to its result = %s, want %s", got, want)
	}
}

func TestCellJSON(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/good/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := matrix.Parse("matrix.yaml", data, catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	cells, err := m.Expand("default", []string{"12.4-runtime-debian13"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(cells)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"id":"12.4-runtime-debian13","os":"debian13","cuda":"12.4","flavor":"runtime","sample":"",` +
		`"parent":"12.4-base-debian13","source":"debian","platforms":["linux/amd64"],` +
		`"tags":["cuda:12.4-runtime-debian13"],"groups":["debian","default"],` +
		`"ends":{"date":"2030-06-30","what":"Debian 13","source":"wiki.debian.org/LTS"}}]`
	if string(got) != want {
		t.Errorf("cells = %s, want %s", got, want)
	}
}

// TestUnreadable is about files whose content never gets to the format.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := map[string]struct {
		data []byte // nil: the file is not written
		want string
	}{
		"absent":  {nil, "absent: no such file"},
		"large":   {bytes.Repeat([]byte("a: b\n"), spec.MaxBytes/5+1), "large: larger than 1 MiB"},
		"latin1":  {[]byte("version: 1\nimage: caf\xe9\n"), "latin1:2:11: not valid UTF-8: not a YAML file"},
		"binary":  {[]byte("\x7fELF\x02\x01"), `binary:1:1: control character '\x7f': not a YAML file`},
		"utf16":   {[]byte("v\x00e\x00"), `utf16:1:2: control character '\x00': not a YAML file`},
		"letters": {bytes.Repeat([]byte("x"), spec.MaxBytes), "letters:1:1: the matrix: want a mapping, got the string"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.data != nil {
				if err := os.WriteFile(filepath.Join(dir, name), test.data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := matrix.Load(filepath.Join(dir, name), catalog(t))
			var problems spec.Problems
			if !errors.As(err, &problems) || len(problems) != 1 {
				t.Fatalf("Load(%s) = %v, want one problem", name, err)
			}
			got := strings.TrimPrefix(problems[0].Error(), dir+"/")
			if !strings.HasPrefix(got, test.want) || len(got) > 500 {
				t.Errorf("Load(%s) = %.300q, want %q", name, got, test.want)
			}
		})
	}
	if _, err := matrix.Load(dir, catalog(t)); err == nil || err.Error() != dir+": is a directory" {
		t.Errorf("Load(directory) = %v, want is a directory", err)
	}
}

// TestHostile feeds 1 MiB of what makes parsers slow, deep or large.
func TestHostile(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	entry := `    - {os: [debian13], cuda: ["12.4"]}` + "\n"
	for _, unit := range []string{"[", "{", "- ", "? ", "#\n", "\"", "a: [", "&a ", "*a ", "!x ", "-\n", "a: b\n", "|\n", "<<: ", "\t", "💥", "---\n", entry} {
		t.Run(fmt.Sprintf("%q", unit), func(t *testing.T) {
			start := time.Now()
			head := ""
			if unit == entry {
				head = "version: 1\nimage: cuda\ngroups:\n  default:\n"
			}
			data := head + strings.Repeat(unit, (spec.MaxBytes-len(head))/len(unit))
			m, err := matrix.Parse("f", []byte(data), c)
			var problems spec.Problems
			if m != nil || !errors.As(err, &problems) || len(problems) > 101 || len(err.Error()) > 1<<16 {
				t.Errorf("Parse = %v, %.200v; want at most 101 short problems", m, err)
			}
			if took := time.Since(start); took > 2*time.Minute {
				t.Errorf("Parse took %v", took)
			}
			t.Logf("%v %.150q", time.Since(start).Round(time.Millisecond), err)
		})
	}
}

func TestProblemsAreSorted(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	for _, file := range yamlFiles(t, "bad") {
		_, err := matrix.Load(file, c)
		var problems spec.Problems
		errors.As(err, &problems)
		if !slices.IsSortedFunc(problems, func(a, b spec.Problem) int { return 1000*(a.Line-b.Line) + a.Column - b.Column }) {
			t.Errorf("%s: problems are not sorted: %v", file, problems)
		}
	}
}
