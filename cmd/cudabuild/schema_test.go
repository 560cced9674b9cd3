// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/golden"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/internal/schema/schematest"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// checkedMain is main for the scripts: what a command line prints as JSON must fit its
// schema, or it ends with 99.
func checkedMain() {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		main() // what it prints is its program's, and is not to wait for the end
	}
	routeLibraryLogs()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if day, err := time.Parse(time.DateOnly, os.Getenv("TEST_TODAY")); err == nil {
		ctx = context.WithValue(ctx, clockKey{}, day)
	}
	var stdout bytes.Buffer
	code := run(ctx, os.Args[1:], os.Stdin, &stdout, os.Stderr)
	if err := checkPrinted(os.Args[1:], stdout.Bytes()); err != nil {
		fmt.Fprintf(os.Stderr, "schema: %v\n", err)
		code = 99
	}
	if _, err := stdout.WriteTo(os.Stdout); err != nil {
		code = 98
	}
	os.Exit(code)
}

// checkPrinted judges the document that a command line printed, if that has a schema.
func checkPrinted(args []string, data []byte) error {
	name := printedBy(args, data)
	if name == "" || len(data) == 0 {
		return nil
	}
	check, err := closedSchema(name)
	if err != nil {
		return err
	}
	if err := check(data); err != nil {
		return fmt.Errorf("%q printed no document of schema %q: %w", args, name, err)
	}
	return nil
}

// printedBy is the schema of what a command line prints, "" if it prints no JSON or
// somebody else's.
func printedBy(args []string, data []byte) string {
	has := func(flag string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return a == flag || strings.HasPrefix(a, flag+"=") })
	}
	if len(args) == 0 || !has("--json") && !strings.Contains(strings.Join(args, " "), "--format json") {
		return ""
	}
	switch {
	case args[0] == "matrix" && has("--dry-run"), (args[0] == "matrix" || args[0] == "explain") && bytes.Contains(data, []byte(`"problems"`)):
		return "plan"
	case args[0] == "lock":
		return "lock-update"
	case args[0] == "push" && has("--dry-run"):
		return "push-plan"
	case args[0] == "retire" && has("--ended"):
		return "retire-plan"
	case args[0] == "recipes":
		return "recipes-update"
	case args[0] == "matrix":
		return "matrix-run"
	case has("--diff") && !bytes.Contains(data, []byte(`"problems"`)):
		return "plan-diff"
	}
	for _, flag := range []string{"explain", "rules", "driver", "attestations"} {
		if args[0] == "verify" && has("--"+flag) {
			return "verify-" + flag
		}
	}
	return args[0]
}

func closedSchema(name string) (func([]byte) error, error) {
	s, err := schemaOf(nil, name, nil)
	if err != nil {
		return nil, err
	}
	return schematest.Closed(s)
}

// committed is the schema that editors fetch, named in our matrix.yaml.
const committed = "docs/schema/matrix.json"

// TestSchemaCommitted: what editors see is what `cudabuild schema` prints, but for the names of
// OSes, releases, platforms and flavors: a schema without them is right whatever is added.
func TestSchemaCommitted(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"schema", "tests"}, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d, %s", code, &stderr)
	}
	golden.Check(t, "../../docs/schema/tests.json", stdout.String())
	stdout.Reset()
	if err := plain.JSON(&stdout, matrix.Schema(nil)); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "../../"+committed, stdout.String())
	ours, err := os.ReadFile("../../matrix.yaml")
	if err != nil || !bytes.HasPrefix(ours, []byte("# yaml-language-server: $schema="+committed+"\n")) {
		t.Errorf("matrix.yaml does not begin with the line that names %s: %v", committed, err)
	}
}

// TestSchemasAreSchemas: a validator takes each, closed and open.
func TestSchemasAreSchemas(t *testing.T) {
	t.Parallel()
	for _, d := range documents() {
		if _, err := closedSchema(d.name); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
		s, err := schemaOf(nil, d.name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := schematest.Compile(t, s)([]byte(`{"version": "one"}`)); err == nil {
			t.Errorf("%s takes a document without anything", d.name)
		}
	}
}

// TestPlanDocument: every cell of our own matrix.
func TestPlanDocument(t *testing.T) {
	t.Parallel()
	args := []string{"plan", "-f", "../../matrix.yaml", "--group", "all", "--json"}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != 0 || stdout.Len() < 1<<19 {
		t.Fatalf("exit code %d, %d bytes, %s", code, stdout.Len(), &stderr)
	}
	if err := checkPrinted(args, stdout.Bytes()); err != nil {
		t.Error(err)
	}
}

// TestRunDocument: a record with a cell in every state.
func TestRunDocument(t *testing.T) {
	t.Parallel()
	result := &record.Run{Version: 1, Inputs: []record.Input{{OS: "debian13"}}, Cells: []record.Cell{}}
	for _, status := range words()[record.Status("")] {
		report := verify.Unread("oci:x", fs.ErrNotExist)
		layer, index := verify.Layer{Index: 1}, 2
		report.Findings = append(report.Findings, verify.Finding{Severity: verify.SeverityWarn, Layer: &layer, DeletedIn: &index}, verify.Finding{Severity: verify.SeverityFail})
		result.Cells = append(result.Cells, record.Cell{
			ID: "12.4-base-debian13", Status: record.Status(status), Tags: []string{"cuda:12.4-base-debian13"},
			Images: []verify.Report{report}, Rows: []record.Row{},
		})
	}
	var stdout bytes.Buffer
	f := matrixFlags{asJSON: true}
	if err := f.print(&stdout, result); err != nil {
		t.Fatal(err)
	}
	if err := checkPrinted([]string{"matrix", "--json"}, stdout.Bytes()); err != nil {
		t.Error(err)
	}
	broken := strings.Replace(stdout.String(), `"failed"`, `"flawed"`, 1)
	if err := checkPrinted([]string{"matrix", "--json"}, []byte(broken)); err == nil {
		t.Error("a status that there is not fits the schema")
	}
}

// TestGPUDocument: the rows that were seen on GPUs, as gpu --json prints them.
func TestGPUDocument(t *testing.T) {
	t.Parallel()
	seen, err := gpu.ReadLedger("../../ledger")
	if err != nil || len(seen) == 0 {
		t.Fatalf("ledger: %d rows, %v", len(seen), err)
	}
	var rows []gpu.Row
	for _, o := range seen {
		rows = append(rows, o.Row)
	}
	var stdout bytes.Buffer
	worse := []gpu.Regression{{Row: rows[0], State: gpu.Slower, Why: "it is slower"}, {Row: rows[0], State: gpu.Flaky, Why: "sometimes"}}
	o := observed{host: seen[0].Host, rows: rows, skipped: []skipped{{Image: "i"}}, left: []leftOut{{Test: "t"}}, worse: worse, figures: []gpu.Compared{{Row: rows[0], Figure: "gflops"}}}
	if err := o.show(&stdout, true); err != nil {
		t.Fatal(err)
	}
	if err := checkPrinted([]string{"gpu", "--json"}, stdout.Bytes()); err != nil {
		t.Error(err)
	}
}

// TestWords: no value of a type with few values is missing in the schemas.
func TestWords(t *testing.T) {
	t.Parallel()
	for value, listed := range words() {
		typ := reflect.TypeOf(value)
		dir := filepath.Join("../..", strings.TrimPrefix(typ.PkgPath(), "github.com/cudabuild/cudabuild"))
		if diff := cmp.Diff(constants(t, dir, typ.Name()), slices.Sorted(slices.Values(listed))); diff != "" {
			t.Errorf("%v (-constants +words):\n%s", typ, diff)
		}
	}
}

// constants returns the values of a type's constants in a package's sources, sorted.
func constants(t *testing.T, dir, typeName string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if ident, ok := spec.Type.(*ast.Ident); ok && ident.Name == typeName {
				for _, v := range spec.Values {
					if lit, ok := v.(*ast.BasicLit); ok {
						values = append(values, strings.Trim(lit.Value, `"`))
					}
				}
			}
			return true
		})
	}
	slices.Sort(values)
	return values
}
