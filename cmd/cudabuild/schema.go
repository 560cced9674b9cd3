// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/fleet/install"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/internal/schema"
	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/lock"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/plan"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/recipes"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/retire"
	"github.com/cudabuild/cudabuild/usertest"
	"github.com/cudabuild/cudabuild/verify"
	"github.com/cudabuild/cudabuild/verify/format"
)

// document is a kind of JSON document that we print.
type document struct {
	name, about string
	value       any // of its Go type
}

func documents() []document {
	return []document{
		{"plan", "plan --json, and the problems of an invalid matrix", plan.Document{}},
		{"plan-diff", "plan --diff --json", planDiffDocument{}},
		{"explain", "explain CELL --json", cellReasons{}},
		{"diff", "diff --json", diff.Result{}},
		{"matrix-run", "matrix --json, and OUT/run.json", record.Run{}},
		{"lock", "matrix.lock", lock.Lock{}},
		{"lock-update", "lock update --json", lock.Diff{}},
		{"verify", "verify --json", format.Document{}},
		{"verify-explain", "verify --explain PATH --json", explainDocument{}},
		{"verify-rules", "verify --rules --json", rulesDocument{}},
		{"verify-attestations", "verify --attestations --json", attestationsDocument{}},
		{"verify-driver", "verify --driver VERSION --gpu ARCH --json", answersDocument{}},
		{"gpu", "gpu --json", gpuDocument{}},
		{"host", "host --json", hostDocument{}},
		{"push-plan", "push --dry-run --json", publish.Plan{}},
		{"push", "push --json", pushDocument{}},
		{"copy", "copy --json, copy --dry-run --json", copyDocument{}},
		{"retire-plan", "retire --ended --json", retire.Plan{}},
		{"retire", "retire --plan FILE --json", retiredDocument{}},
		{"fleet-install", "fleet install --json", install.Installed{}},
		{"fleet-plan", "fleet plan --json", fleetPlan{}},
		{"fleet-run", "fleet run --json", fleetDocument{}},
		{"fleet-runs", "fleet status --json, fleet prune --json", runsDocument{}},
		{"fleet-rows", "fleet status RUN --json", rowsDocument{}},
		{"prune", "prune --json", pruned{}},
		{"report", "report --json, and report -o FILE.json", report.Document{}},
		{"recipes-update", "recipes update --json", updateDocument{}},
		{"version", "version --json", versionDocument{}},
	}
}

// words are the values of the types that have only some.
func words() map[any][]string {
	return map[any][]string{
		verify.Verdict(""):  {string(verify.Pass), string(verify.Warn), string(verify.Fail), string(verify.Unknown)},
		verify.Severity(""): {string(verify.SeverityFail), string(verify.SeverityWarn), string(verify.SeverityInfo)},
		record.Status(""):   {string(record.Passed), string(record.Failed), string(record.Skipped), string(record.Cancelled)},
		record.CacheState(""): {
			string(record.CacheImported), string(record.CacheMissing), string(record.CacheUnreachable), string(record.CacheBroken),
			string(record.CacheExported), string(record.CacheCurrent), string(record.CacheFailed),
		},
		diff.Kind(""): {
			string(diff.Package), string(diff.File), string(diff.Mode), string(diff.Environment), string(diff.Recipe), string(diff.Source),
			string(diff.Date), string(diff.Tool), string(diff.Base), string(diff.Index), string(diff.Unexplained),
		},
		diff.State(""):   {string(diff.Same), string(diff.Changed), string(diff.Added), string(diff.Removed), string(diff.Built), string(diff.NotBuilt), string(diff.Unread)},
		attest.State(""): {string(attest.Valid), string(attest.Incomplete), string(attest.Unsigned), string(attest.Stale), string(attest.Failed), string(attest.Strange), string(attest.Damaged)},
		report.State(""): {
			string(report.Good), string(report.Noted), string(report.Warned), string(report.NotKnown), string(report.Skipped), string(report.Cancelled), string(report.Bad),
		},
		report.How(""): {string(report.Predicted), string(report.Seen), string(report.Disagrees), string(report.Open)},
		gpu.State(""):  {string(gpu.Broken), string(gpu.Slower), string(gpu.Flaky)},
		compat.Verdict(""): {
			string(compat.Native), string(compat.JIT), string(compat.MinorCompat), string(compat.ForwardCompat),
			string(compat.No), string(compat.Unknown),
		},
	}
}

const (
	matrixSchema = "matrix"
	testsSchema  = "tests"
)

// recipeSchema is the name of the schema of the recipes in a folder.
func recipeSchema(kind string) string { return "recipe-" + kind }

func newSchema() *cobra.Command {
	var layers []string
	cmd := &cobra.Command{
		Use:   "schema [NAME]",
		Short: "Print the JSON Schema of matrix.yaml, of a recipe or of an output",
		Long: `Schema prints a JSON Schema (draft 7): of matrix.yaml or of a recipe, for editors, or of
a document that another command prints. Without a name it lists them.`,
		Args: cobra.MaximumNArgs(1),
		Example: `  cudabuild schema
  cudabuild schema matrix --recipes my > matrix.schema.json
  cudabuild schema plan`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listSchemas(cmd.OutOrStdout())
			}
			s, err := schemaOf(cmd, args[0], layers)
			if err != nil {
				return err
			}
			return plain.JSON(cmd.OutOrStdout(), s)
		},
	}
	cmd.Flags().StringArrayVar(&layers, "recipes", nil, "`DIR` with recipes whose names matrix.yaml may use too (repeatable)")
	return cmd
}

func listSchemas(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tOF")
	fmt.Fprintf(table, "%s\t%s\n", matrixSchema, "matrix.yaml")
	fmt.Fprintf(table, "%s\t%s\n", testsSchema, "a file of tests of one's own, gpu --tests FILE")
	for _, kind := range recipes.Kinds() {
		fmt.Fprintf(table, "%s\trecipes/%s/NAME.yaml\n", recipeSchema(kind), kind)
	}
	for _, d := range documents() {
		fmt.Fprintf(table, "%s\t%s\n", d.name, d.about)
	}
	return table.Flush()
}

func schemaOf(cmd *cobra.Command, name string, layers []string) (*schema.Schema, error) {
	if name == matrixSchema {
		catalog, err := recipes.Load(layers...)
		if err != nil {
			return nil, tell(cmd, err, false)
		}
		return matrix.Schema(catalog), nil
	}
	if name == testsSchema {
		return usertest.Schema(), nil
	}
	known := []string{matrixSchema, testsSchema}
	for _, kind := range recipes.Kinds() {
		if name == recipeSchema(kind) {
			return recipes.Schema(kind), nil
		}
		known = append(known, recipeSchema(kind))
	}
	all := documents()
	i := slices.IndexFunc(all, func(d document) bool { return d.name == name })
	if i < 0 {
		for _, d := range all {
			known = append(known, d.name)
		}
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("no schema %q", name), hint: suggest.Hint(name, known)}
	}
	return schema.Of(all[i].value, words()).Document("cudabuild "+name, "What these print: "+all[i].about+"."), nil
}
