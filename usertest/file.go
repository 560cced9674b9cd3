// SPDX-License-Identifier: Apache-2.0

package usertest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"time"

	"github.com/cudabuild/cudabuild/internal/schema"
	"github.com/cudabuild/cudabuild/samples"
	"github.com/cudabuild/cudabuild/spec"
)

// Written is a list of tests as it stands in a file. Its mappings need [Forms].
type Written []entry

type entry struct {
	At      spec.Place        `doc:"One command in the images that it is of."`
	Name    string            `yaml:"name,required" form:"test" doc:"Names the test in tables, ledgers and gates."`
	Image   string            `yaml:"image" form:"images" doc:"Glob on cell IDs, or on references as the command line gives them: the images that the test is of. Every image by default."`
	Run     []string          `yaml:"run,some" hint:"write run: [python3, /tests/matmul.py]" doc:"Program and arguments in place of the image's own."`
	Expect  expect            `yaml:"expect" doc:"What a run must do to pass."`
	Figures map[string]figure `yaml:"figures" keys:"figure" each:"figure" hint:"write figures: {tflops: 'tflops=([0-9.]+)'}" doc:"Numbers in stdout that runs are compared by: of a pattern, the group in its first match."`
	GPUs    *int              `yaml:"gpus" doc:"How many GPUs of those that are chosen it is given, all by default. With 0 it need not use one."`
	When    when              `yaml:"when" doc:"Hosts that the test is for; it is left out elsewhere."`
}

type expect struct {
	At         spec.Place
	Exit       int    `yaml:"exit" doc:"Exit code, 0 by default."`
	Stdout     string `yaml:"stdout" form:"pattern" doc:"Regular expression (Go's, ^ and $ at each line) that stdout must match."`
	MaxSeconds *int   `yaml:"max_seconds" doc:"Time that it may take; --timeout by default."`
}

type figure struct {
	At      spec.Place `doc:"A number in stdout."`
	Alone   string     `yaml:",alone" form:"number" doc:"Regular expression with one group, the number."`
	Pattern string     `yaml:"pattern,required" form:"number" doc:"Regular expression with one group, the number."`
	Better  string     `yaml:"better" form:"better" doc:"Whether more or less is better; higher by default."`
}

type when struct {
	At     spec.Place
	Driver string      `yaml:"driver" form:"driver" doc:"Drivers that it is for: '>=535', '535' for that branch, '>=535 <580'."`
	GPU    []spec.Word `yaml:"gpu,some" form:"sm" doc:"Architectures of GPUs that it is for."`
}

const lower = "lower"

var (
	testName   = regexp.MustCompile(`^[a-z0-9._-]+$`)
	figureName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	driver     = regexp.MustCompile(`^(>=|<)?[0-9]{3,4}(\.[0-9]+){0,2}( +(>=|<)?[0-9]{3,4}(\.[0-9]+){0,2})*$`)
	sm         = regexp.MustCompile(`^sm_[0-9]{2,3}$`)
)

// Forms are the words that tests are written in.
func Forms() map[string]spec.Form {
	return map[string]spec.Form{
		"test":    {Pattern: testName, Want: "a name of lower-case letters, digits and . _ -"},
		"images":  {Min: 1, Check: checkGlob},
		"pattern": {Check: func(text, what string) (string, string) { return checkPattern(text, what, 0) }},
		"number":  {Check: func(text, what string) (string, string) { return checkPattern(text, what, 1) }},
		"figure":  {Pattern: figureName, Want: "a name such as tflops or step_ms"},
		"better":  {Noun: "word for better", Words: []string{"higher", lower}},
		"driver": {
			Pattern: driver, Number: " (write it in quotes)",
			Want: "a driver's version or branch, 535 or 535.161.07, a bound, >=535 or <580, or several of these with blanks between them",
		},
		"sm": {Pattern: sm, Want: "an architecture such as sm_80 or sm_90"},
	}
}

func checkGlob(text, what string) (message, hint string) {
	if text == "" {
		return what + ": it is empty", "leave it out for every image"
	}
	if _, err := path.Match(text, ""); err != nil {
		return fmt.Sprintf("%s: glob %q: %v", what, text, err), "globs are *, ? and [a-z]"
	}
	return "", ""
}

func checkPattern(text, what string, groups int) (message, hint string) {
	pattern, err := compile(text)
	switch {
	case text == "":
		return what + ": it is empty", "write a regular expression, as of Go or RE2"
	case err != nil:
		return fmt.Sprintf("%s: %v", what, err), "write a regular expression, as of Go or RE2, in single quotes"
	case groups > 0 && pattern.NumSubexp() != groups:
		return fmt.Sprintf("%s: %q has %d groups, want one, the number", what, text, pattern.NumSubexp()), "write 'tflops=([0-9.]+)'; a group that is none begins with ?:"
	}
	return "", ""
}

// eachLine has ^ and $ match at each line, as people expect of output.
const eachLine = "(?m)"

func compile(text string) (*regexp.Regexp, error) { return regexp.Compile(eachLine + text) }

// tests is a file of nothing else.
type tests struct {
	Version int     `yaml:"version,required" const:"1" doc:"Version of the format."`
	Tests   Written `yaml:"tests,required,some" hint:"write tests: [{name: matmul, run: [python3, /tests/matmul.py]}]" doc:"What to run in which images, and what is expected of it."`
}

// inMatrix is what a matrix.yaml says of tests; the rest is package matrix's.
type inMatrix struct {
	Others spec.Others
	Tests  Written `yaml:"tests,required,some"`
}

var format = spec.Format{
	What:  "the file of tests",
	Start: `a file of tests starts with "version: 1" and needs tests`,
	Write: "write the value out",
	Forms: Forms(),
}

// Schema is the JSON Schema of a file of tests, for editors.
func Schema() *schema.Schema {
	return format.Schema(tests{}).Document("cudabuild tests", "What to run in images of one's own, and what is expected of it.")
}

// Load reads a file of tests, or the tests of a matrix.yaml. The error is a [spec.Problems].
func Load(name string) ([]Test, error) {
	report := new(spec.Report)
	at := report.File(name)
	data, err := spec.ReadFile(name)
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		err = pathErr.Err // the path is said in front
	}
	if err != nil {
		at.At(spec.Place{}, "name a file of tests, or a matrix.yaml with tests:", "%v", err)
		return nil, report.Err()
	}
	return Parse(name, data)
}

// Parse reads the bytes of such a file; name stands for it in problems. The error is a
// [spec.Problems].
func Parse(name string, data []byte) ([]Test, error) {
	probe := new(spec.Report).File(name)
	probe.Read(data, format, &inMatrix{})
	at := new(spec.Report).File(name)
	var written Written
	if probe.Exact("groups").Line > 0 {
		var in inMatrix
		at.Read(data, format, &in)
		written = in.Tests
	} else {
		var file tests
		at.Read(data, format, &file)
		written = file.Tests
	}
	all := written.Tests(at)
	return all, at.Err()
}

// Names are the names of the tests in a matrix.yaml, whatever else is wrong with it.
func Names(data []byte) (names []string) {
	var in inMatrix
	new(spec.Report).File("").Read(data, format, &in)
	for _, e := range in.Tests {
		if e.Name != "" {
			names = append(names, e.Name)
		}
	}
	return names
}

// Tests are the tests that were read from at, where they stand under the key tests. What they
// cannot mean is reported there.
func (w Written) Tests(at *spec.File) []Test {
	var all []Test
	for i, e := range w {
		twin := slices.IndexFunc(w[:i], func(other entry) bool { return other.Name == e.Name })
		_, sample := samples.Lookup(e.Name)
		switch {
		case e.Name == "": // reported
		case sample:
			at.At(e.At, "choose another name", "test %q: a sample has that name", e.Name)
		case twin >= 0:
			at.At(e.At, "rename one of the two", "test %q is there twice, first at line %d", e.Name, w[twin].At.Line)
		}
		all = append(all, e.test(at))
	}
	return all
}

// maxArg bounds one argument of a program, with the byte that ends it.
// Source: Linux, include/uapi/linux/binfmts.h, MAX_ARG_STRLEN.
const maxArg = 128 << 10

func (e entry) test(at *spec.File) Test {
	number := func(place spec.Place, key string, n, least, most int) {
		if n < least || n > most {
			at.At(place, "", "test %q: %s: %d: want %d to %d", e.Name, key, n, least, most)
		}
	}
	number(e.Expect.At, "exit", e.Expect.Exit, 0, 255)
	for i, arg := range e.Run {
		if len(arg) >= maxArg {
			at.At(e.At, "have the program read it from a file of the image", "test %q: run: argument %d has %d bytes: Linux hands on fewer than %d", e.Name, i, len(arg), maxArg)
		}
	}
	t := Test{
		Name: e.Name, Image: e.Image, Run: e.Run, Exit: e.Expect.Exit, Figures: map[string]Figure{}, GPUs: All, Driver: e.When.Driver,
	}
	if e.Expect.Stdout != "" {
		t.Stdout, _ = compile(e.Expect.Stdout) // checked by its form
	}
	if s := e.Expect.MaxSeconds; s != nil {
		number(e.Expect.At, "max_seconds", *s, 1, 7*24*3600)
		t.Limit = time.Duration(*s) * time.Second
	}
	if e.GPUs != nil {
		number(e.At, "gpus", *e.GPUs, 0, 1024)
		t.GPUs = *e.GPUs
	}
	for _, w := range e.When.GPU {
		t.Architectures = append(t.Architectures, w.Text)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Figures)) {
		f := e.Figures[name]
		if pattern, err := compile(f.Alone + f.Pattern); err == nil { // one of them is there, or a problem was reported
			t.Figures[name] = Figure{Pattern: pattern, Lower: f.Better == lower}
		}
	}
	return t
}
