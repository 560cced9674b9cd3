// SPDX-License-Identifier: Apache-2.0

package usertest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/cudabuild/cudabuild/internal/schema/schematest"
	"github.com/cudabuild/cudabuild/usertest"
)

const matmul = `version: 1
tests:
  - name: matmul
    image: "12.4-runtime-*"
    run: [python3, /tests/matmul.py, -n, -n]
    expect: {exit: 3, stdout: "^ok", max_seconds: 120}
    figures: {tflops: 'tflops=([0-9.]+)', step_ms: {pattern: 'step (\S+) ms', better: lower}}
    gpus: 1
    when: {driver: ">=535", gpu: [sm_90]}
`

var patterns = cmp.Comparer(func(a, b *regexp.Regexp) bool {
	return (a == nil) == (b == nil) && (a == nil || a.String() == b.String())
})

func parse(t *testing.T, text string) []usertest.Test {
	t.Helper()
	tests, err := usertest.Parse("tests.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

func TestParse(t *testing.T) {
	t.Parallel()
	want := []usertest.Test{{
		Name: "matmul", Image: "12.4-runtime-*", Run: []string{"python3", "/tests/matmul.py", "-n", "-n"}, Exit: 3,
		Stdout: regexp.MustCompile("(?m)^ok"), Limit: 2 * time.Minute, GPUs: 1, Driver: ">=535", Architectures: []string{"sm_90"},
		Figures: map[string]usertest.Figure{
			"tflops":  {Pattern: regexp.MustCompile("(?m)tflops=([0-9.]+)")},
			"step_ms": {Pattern: regexp.MustCompile(`(?m)step (\S+) ms`), Lower: true},
		},
	}}
	if diff := cmp.Diff(want, parse(t, matmul), patterns); diff != "" {
		t.Error(diff)
	}
	least := []usertest.Test{{Name: "a", GPUs: usertest.All, Figures: map[string]usertest.Figure{}}}
	if diff := cmp.Diff(least, parse(t, "version: 1\ntests: [{name: a}]"), patterns); diff != "" {
		t.Error(diff)
	}
	inMatrix := "version: 1\nimage: cuda\ngroups: {default: [anything]}\n" + strings.TrimPrefix(matmul, "version: 1\n")
	if diff := cmp.Diff(want, parse(t, inMatrix), patterns); diff != "" {
		t.Error(diff)
	}
	if names := usertest.Names([]byte(inMatrix)); len(names) != 1 || names[0] != "matmul" {
		t.Errorf("Names = %q", names)
	}
}

// TestParseRefuses: a problem names line, column and, where one is near, the word that was meant.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                `1:1: the file is empty`,
		"version: 2":                      `1:10: version 2 is not supported`,
		"version: 1":                      `1:1: missing key "tests"`,
		"version: 1\ntests: []":           `2:8: tests: the list is empty`,
		"version: 1\ntests: [{run: [a]}]": `2:9: missing key "name"`,
		"version: 1\ntests: [{nam: a}]":   `2:10: unknown key "nam"`,
		"groups: {}\nversion: 1":          `1:1: missing key "tests"`,
	} {
		refuses(t, text, want)
	}
	for text, want := range map[string]string{
		"{name: A}":                                               `8: name: "A": want a name of lower-case`,
		"{name: nbody}":                                           `1: test "nbody": a sample has that name`,
		"{name: a}, {name: a}":                                    `12: test "a" is there twice, first at line 3`,
		"{name: a, run: []}":                                      `16: run: the list is empty`,
		"{name: a, run: python3}":                                 `16: run: want a list, got the string "python3"`,
		"{name: a, run: [sleep, 1]}":                              `24: run: want a string, got the number 1`,
		"{name: a, image: '[a'}":                                  `18: image: glob "[a": syntax error in pattern`,
		"{name: a, image: ''}":                                    `18: image: it is empty`,
		"{name: a, expect: {exit: 256}}":                          `19: test "a": exit: 256: want 0 to 255`,
		"{name: a, expect: {max_seconds: 0}}":                     `19: test "a": max_seconds: 0: want 1 to`,
		"{name: a, expect: {max_seconds: 1.5}}":                   `33: max_seconds: want a whole number, got the number 1.5`,
		"{name: a, expect: {stdout: '('}}":                        `28: stdout: error parsing regexp: missing closing )`,
		"{name: a, figures: {x: 'x'}}":                            `24: figure "x": "x" has 0 groups, want one, the number`,
		"{name: a, figures: {x: '(a)(b)'}}":                       `24: figure "x": "(a)(b)" has 2 groups`,
		"{name: a, figures: {x: {better: less}}}":                 `33: unknown word for better "less"`,
		"{name: a, figures: {X: '(a)'}}":                          `21: figures: "X": want a name such as tflops`,
		"{name: a, run: [x, " + strings.Repeat("y", 1<<17) + "]}": `1: test "a": run: argument 1 has 131072 bytes: Linux hands on fewer than 131072`,
		"{name: a, gpus: -1}":                                     `1: test "a": gpus: -1: want 0 to`,
		"{name: a, gpus: all}":                                    `17: gpus: want a whole number, got the string "all"`,
		"{name: a, when: {gpu: [sm90]}}":                          `24: gpu: "sm90": want an architecture`,
		"{name: a, when: {driver: 535}}":                          `26: driver: want a string, got the number 535`,
		"{name: a, when: {driver: new}}":                          `26: driver: "new": want a driver's version`,
	} {
		refuses(t, "version: 1\ntests: [\n"+text+"]", "tests.yaml:3:"+want)
	}
}

func refuses(t *testing.T, text, want string) {
	t.Helper()
	if tests, err := usertest.Parse("tests.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s\n%v, %v, want %s", text, tests, err, want)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tests.yaml")
	if _, err := usertest.Load(file); err == nil || !strings.HasSuffix(err.Error(), "tests.yaml: no such file or directory") {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte(matmul), 0o600); err != nil {
		t.Fatal(err)
	}
	if tests, err := usertest.Load(file); err != nil || len(tests) != 1 {
		t.Errorf("%d tests, %v", len(tests), err)
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]bool{
		"": true, "12.4-*": true, "11.8-*": false, "oci:img:[a-z]": true, "oci:img:x": true, "oci:img": false, "*": true,
	} {
		if got := (usertest.Test{Image: image}).Of("12.4-runtime-debian13", "oci:img:x"); got != want {
			t.Errorf("%q: %v, want %v", image, got, want)
		}
	}
}

func TestUnfit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		test usertest.Test
		gpus []string
		want string
	}{
		"all":          {usertest.Test{GPUs: usertest.All}, []string{"sm_90"}, ""},
		"all of none":  {usertest.Test{GPUs: usertest.All}, nil, "no GPU is chosen"},
		"none":         {usertest.Test{}, nil, ""},
		"too many":     {usertest.Test{GPUs: 2}, []string{"sm_90"}, "it takes 2 GPUs, and 1 are chosen"},
		"driver":       {usertest.Test{Driver: ">=535 <580"}, nil, ""},
		"newer":        {usertest.Test{Driver: ">=575"}, nil, "it is for driver >=575, here is 570.86.15"},
		"architecture": {usertest.Test{GPUs: usertest.All, Architectures: []string{"sm_80", "sm_90"}}, []string{"sm_90", "sm_80"}, ""},
		"another":      {usertest.Test{GPUs: usertest.All, Architectures: []string{"sm_90"}}, []string{"sm_90", "sm_80"}, "here is sm_80"},
		"not used":     {usertest.Test{GPUs: 1, Architectures: []string{"sm_90"}}, []string{"sm_90", "sm_80"}, ""},
	} {
		if got := test.test.Unfit("570.86.15", test.gpus); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	test := parse(t, strings.Replace(matmul, "exit: 3", "exit: 0", 1))[0]
	good := "device\nok\ntflops=41.5 tflops=9\nstep 1.5e1 ms\n"
	for name, c := range map[string]struct {
		exit   int
		stdout string
		want   string
	}{
		"good":      {0, good, ""},
		"exit":      {1, good, "exit code 1, want 0"},
		"killed":    {-1, "", "ended by a signal, want 0"},
		"stdout":    {0, strings.Replace(good, "ok", "not ok", 1), `stdout has nothing that matches "^ok"`},
		"no figure": {0, "ok\nstep 1 ms", `figure tflops: stdout has nothing that matches`},
		"words":     {0, "ok\ntflops=1\nstep some ms", `figure step_ms: "some" is no number`},
		"two dots":  {0, "ok\ntflops=1.2.3\nstep 1 ms", `figure tflops: "1.2.3" is no number`},
		"nan":       {0, "ok\ntflops=1\nstep nan ms", `figure step_ms: "nan" is no number that can be compared`},
		"infinite":  {0, "ok\ntflops=1\nstep -inf ms", `figure step_ms: "-inf" is no number that can be compared`},
		"huge":      {0, "ok\ntflops=1\nstep 1.5e308 ms", `figure step_ms: "1.5e308" is no number that can be compared`},
		"too huge":  {0, "ok\ntflops=1\nstep -1e999 ms", `figure step_ms: "-1e999" is no number that can be compared`},
		"large":     {0, "ok\ntflops=1\nstep -1e300 ms", ""},
	} {
		figures, why := test.Read(c.exit, []byte(c.stdout))
		if (why == "") != (c.want == "") || !strings.HasPrefix(why, c.want) {
			t.Errorf("%s: %q, want %q", name, why, c.want)
		}
		if diff := cmp.Diff(map[string]float64{"tflops": 41.5, "step_ms": 15}, figures); name == "good" && diff != "" {
			t.Error(diff)
		}
	}
}

// TestDigest: what changes what is measured changes it, and nothing else.
func TestDigest(t *testing.T) {
	t.Parallel()
	first := parse(t, matmul)[0].Digest()
	for change, same := range map[[2]string]bool{
		{"matmul.py", "other.py"}: false, {"tflops=", "flops="}: false, {"lower", "higher"}: false, {"gpus: 1", "gpus: 2"}: false, {"step_ms", "ms"}: false,
		{"exit: 3", "exit: 0"}: true, {"120", "60"}: true, {"^ok", "ok"}: true, {">=535", "535"}: true, {"12.4-runtime-*", "*"}: true, {"name: matmul", "name: x"}: true,
	} {
		if got := parse(t, strings.Replace(matmul, change[0], change[1], 1))[0].Digest(); (got == first) != same {
			t.Errorf("%v: the same digest: %v, want %v", change, got == first, same)
		}
	}
}

// FuzzParse holds that a file gives tests or problems, and that what is taken fits the schema
// and can be used.
func FuzzParse(f *testing.F) {
	f.Add([]byte(matmul), []byte("ok\ntflops=1"))
	f.Add([]byte("version: 1\ntests: [{name: a, figures: {x: {pattern: '(.*)', better: higher}}}]"), []byte("1e999"))
	f.Add([]byte("groups: {}\ntests: [{name: a, gpus: 0}]"), []byte{})
	inSchema := schematest.Compile(f, usertest.Schema())
	f.Fuzz(func(t *testing.T, data, stdout []byte) {
		tests, err := usertest.Parse("f", data)
		if err != nil {
			return
		}
		names := map[string]bool{}
		for _, test := range tests {
			if names[test.Name] {
				t.Errorf("%q twice", test.Name)
			}
			names[test.Name] = true
			test.Of(test.Image)
			test.Unfit("570.86.15", []string{"sm_90"})
			if figures, why := test.Read(0, stdout); why == "" && len(figures) != len(test.Figures) {
				t.Errorf("%d of %d figures", len(figures), len(test.Figures))
			}
			if !strings.HasPrefix(test.Digest(), "sha256:") {
				t.Error(test.Digest())
			}
		}
		var value map[string]any
		if err := yaml.Unmarshal(data, &value); err != nil || value["groups"] != nil {
			return // the schema is of files of tests alone
		}
		if text, err := json.Marshal(value); err == nil && inSchema(text) != nil {
			t.Errorf("accepted, but not by the schema: %v", inSchema(text))
		}
	})
}
