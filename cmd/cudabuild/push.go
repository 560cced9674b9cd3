// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/internal/plain"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/sign"
	"github.com/cudabuild/cudabuild/verify"
)

// How layers are read back.
const (
	sizes = "sizes"
	full  = "full"
)

// pushFlags are the flags of `cudabuild push`.
type pushFlags struct {
	selection
	workspace
	registryFlags
	evidenceFlags

	records, ledgers                      []string
	stage, promote, planFile              string
	resume, undo, abandon, dryRun, asJSON bool
	readBack                              string
	older, fewer, silent                  bool
}

// evidenceFlags say what is attached to images.
type evidenceFlags struct {
	evidence bool
	signKey  string
	read     *sign.Key // what is in it, once it was read
}

func (f *evidenceFlags) registerEvidence(flags *pflag.FlagSet) {
	flags.BoolVar(&f.evidence, "evidence", true, "attach to each image what is in it, how it was built and what was checked")
	flags.StringVar(&f.signKey, "sign-key", "", "sign the evidence with the private key in `FILE`, in PEM, which may be a pipe; cosign's password is taken from COSIGN_PASSWORD")
}

func (f *evidenceFlags) checkKey() error {
	if f.signKey != "" && !f.evidence {
		return errors.New("--sign-key signs the evidence, and --evidence=false leaves it out")
	}
	return nil
}

func newPush() *cobra.Command {
	var f pushFlags
	cmd := &cobra.Command{
		Use:   "push [DEST]",
		Short: "Publish the images that passed",
		Long: `Push brings the images of a group into a registry and moves their tags there.

DEST is registry/repo; without it that of --plan is taken, else publish.to of the matrix, and
else image.
Images are uploaded under tags staging-RUN-CELL and read back; publish.require is checked;
evidence is attached (docs/evidence.md); then tags move, all or none. What was pushed is to
the byte what matrix judged, and attaching evidence changes no digest.

A run that was interrupted goes on with --resume [RUN]; --undo [RUN] puts the tags back
that it moved, --abandon [RUN] removes what it staged. RUN can be left away if there is
only one that has not ended. Both take the evidence along that the run attached, but from
images that have other tags. The journals lie in OUT/push.

Exit code: 0 all tags are where they should be, 1 a gate failed, a tag may not move or was
moved by somebody else, 3 could not check: no registry, or a row of a GPU host is missing.
--dry-run ends with the same 1 for a gate or a tag, and with 0 if nothing but a row is missing.`,
		Args: oneArgument,
		Example: `  cudabuild push ghcr.io/acme/cuda
  cudabuild push --dry-run --json > plan.json && cudabuild push --plan plan.json
  cudabuild push --group current --release 26.11 registry.example.com/cuda
  cudabuild push --sign-key cosign.key ghcr.io/acme/cuda
  cudabuild push --ledger rows --resume
  cudabuild push --undo 4f1d0c22a7be`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.selection.register(cmd)
	f.registerOut(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.records, "record", nil, "`PATH` of a record of matrix, or of a folder with files run.json (repeatable; default OUT/run.json)")
	flags.StringArrayVar(&f.ledgers, "ledger", nil, "`DIR` with rows of GPU hosts, beside those in the record (repeatable)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done and do nothing")
	flags.StringVar(&f.planFile, "plan", "", "do what `FILE` says, of --dry-run --json, and nothing if the world has changed since")
	flags.StringVar(&f.stage, "stage", "", "upload and read back as run `ID`, and move no tag")
	flags.StringVar(&f.promote, "promote", "", "move the tags of what others have staged as run `ID`")
	flags.BoolVar(&f.resume, "resume", false, "go on with a run that was interrupted")
	flags.BoolVar(&f.undo, "undo", false, "put the tags back that a run has moved, and take away what it attached")
	flags.BoolVar(&f.abandon, "abandon", false, "remove the staging tags of a run that will not go on, and what it attached")
	flags.StringVar(&f.readBack, "read-back", sizes, "of layers: their sizes, or full to hash all that the registry has")
	f.registerEvidence(flags)
	flags.BoolVar(&f.older, "older", false, "move tags from images that are newer, too")
	flags.BoolVar(&f.fewer, "fewer-platforms", false, "move tags from images of more platforms, too")
	f.addRegistry(cmd)
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	flags.BoolVarP(&f.silent, "quiet", "q", false, "show no progress")
	apart(cmd, "stage", "promote", "resume", "undo", "abandon", "dry-run")
	apart(cmd, "plan", "stage", "resume", "undo", "abandon", "dry-run")
	return cmd
}

func (f *pushFlags) run(cmd *cobra.Command, args []string) error {
	if f.readBack != sizes && f.readBack != full {
		return fmt.Errorf("--read-back %q: want sizes or full", f.readBack)
	}
	if err := f.checkKey(); err != nil {
		return err
	}
	if f.undo || f.abandon {
		return f.takeBack(cmd, first(args))
	}
	m, err := f.open(cmd.InOrStdin())
	if err != nil {
		return tell(cmd, err, false)
	}
	return f.push(cmd, m, args)
}

// push publishes images of a matrix; the argument is DEST, or the run to go on with.
func (f *pushFlags) push(cmd *cobra.Command, m *matrix.Matrix, args []string) error {
	want, err := f.wanted()
	if err != nil {
		return err
	}
	o, journal, err := f.options(cmd, m, want, args)
	if err != nil {
		return tell(cmd, err, false)
	}
	publisher, err := publish.New(cmd.Context(), o)
	if err != nil {
		return unknown(err)
	}
	if f.dryRun {
		return f.printPlan(cmd, publisher)
	}
	if f.resume {
		if err := publisher.Resume(journal); err != nil {
			return unknown(err)
		}
	}
	return f.publish(cmd, publisher, want)
}

// ready finds out whether images of a matrix may be pushed, before there are any.
func (f *pushFlags) ready(cmd *cobra.Command, m *matrix.Matrix, args []string) error {
	if _, err := f.key(); err != nil {
		return tell(cmd, err, false)
	}
	publisher, err := publish.New(cmd.Context(), publish.Options{To: destination(m, nil, args), ID: publish.NewRunID(), Registry: f.registry()})
	if err != nil {
		return unknown(err)
	}
	return unknown(publisher.Ready(cmd.Context()))
}

// oneArgument takes an argument or none. An empty one is that of a variable that is not set,
// and does not mean none.
func oneArgument(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && args[0] == "" {
		return errors.New("the argument is empty")
	}
	return cobra.MaximumNArgs(1)(cmd, args)
}

// destination is where images go; plan is nil if none was given.
func destination(m *matrix.Matrix, plan *publish.Plan, args []string) string {
	planned := ""
	if plan != nil {
		planned = plan.To
	}
	return cmp.Or(first(args), planned, m.Publish().To, m.Image())
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (f *pushFlags) journals() string { return filepath.Join(f.out, "push") }

// journal is that of a run, of the one that has not ended if run is "".
func (f *pushFlags) journal(run string) (publish.Journal, error) {
	if run != "" && publish.CheckRunID(run) != nil {
		return publish.Journal{}, unknown(hint.Usage(fmt.Sprintf("%q is no ID of a run", run), "a run knows where its images go: name it by its ID, or not at all if one alone has not ended"))
	}
	j, err := publish.ReadJournal(f.journals(), run)
	return j, unknown(err)
}

// options are what is published, where and how.
func (f *pushFlags) options(cmd *cobra.Command, m *matrix.Matrix, want *publish.Plan, args []string) (o publish.Options, j publish.Journal, err error) {
	o = publish.Options{
		To: destination(m, want, args), Rules: m.Publish(), ID: cmp.Or(f.stage, f.promote, publish.NewRunID()), Journals: f.journals(),
		FullReadBack: f.readBack == full, Older: f.older, FewerPlatforms: f.fewer, StageOnly: f.stage != "", PlanOnly: f.dryRun, Show: f.show(cmd),
		NoEvidence: !f.evidence, Inventory: verifierOfOurs(f.stateDir).Inventory,
	}
	o.Program, _ = buildVersion()
	if o.Key, err = f.key(); err != nil {
		return o, j, err
	}
	o.Registry = f.registry()
	if f.resume {
		if j, err = f.journal(first(args)); err != nil {
			return o, j, err
		}
		o.To, o.ID = j.Plan().To, j.Run
		o.Cells, err = cellsOf(m, j)
	} else {
		o.Cells, err = f.expand(cmd, m)
	}
	if err != nil {
		return o, j, err
	}
	o.Command = pushAgain(cmd, o.To)
	if o.Record, err = f.readRecords(); err != nil {
		return o, j, err
	}
	if o.Rows, err = readLedgers(f.ledgers); err != nil {
		return o, j, unknown(err)
	}
	if f.promote == "" && (!f.resume || !j.As().Staged) {
		o.Images, err = f.readImages()
	}
	return o, j, err
}

// verifierOfOurs reads images that matrix has made and judged, whose layers it knows from there: what was learned about
// them is in the state directory.
func verifierOfOurs(stateDir string) *verify.Verifier {
	dir := filepath.Join(cmp.Or(stateDir, defaultState()), "facts")
	if unix.Access(dir, unix.W_OK) != nil {
		dir = userCache()
	}
	verifier := verify.New(verify.Options{CacheDir: dir, TempDir: heldIn(), TrustDigests: true})
	boundMemory(verifier.Memory())
	return verifier
}

// cellsOf are the cells of a journal, of whatever group.
func cellsOf(m *matrix.Matrix, j publish.Journal) (cells []matrix.Cell, err error) {
	for _, c := range j.Plan().Cells {
		cell, err := m.Find(m.Groups()[0], c.ID)
		if err != nil {
			return nil, err
		}
		cells = append(cells, cell)
	}
	return cells, nil
}

// readRecords reads the records of one or several runs, the later over the earlier.
func (f *pushFlags) readRecords() (all *record.Run, err error) {
	paths := f.records
	if len(paths) == 0 {
		paths = []string{f.recordPath()}
	}
	files, err := recordFiles(paths)
	if err != nil {
		return nil, unknown(err)
	}
	for _, file := range files {
		run, err := record.Read(file)
		if err != nil {
			return nil, unknown(err)
		}
		if run == nil {
			return nil, &exitError{code: exitUnknown, err: fmt.Errorf("%s: no such file", file), hint: "'cudabuild matrix' builds the images, and writes it"}
		}
		all = run.Over(all)
	}
	return all, nil
}

// recordFiles are the files behind paths: a folder is every run.json in it.
func recordFiles(paths []string) (files []string, err error) {
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			files = append(files, path)
			continue
		}
		before := len(files)
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() == "run.json" {
				files = append(files, name)
			}
			return err
		})
		if err == nil && len(files) == before {
			err = fmt.Errorf("%s: no file run.json in it", path)
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func readLedgers(dirs []string) (all []gpu.Observation, err error) {
	for _, dir := range dirs {
		rows, err := gpu.ReadLedger(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// publish does it, and says what was done.
func (f *pushFlags) publish(cmd *cobra.Command, publisher *publish.Publisher, want *publish.Plan) error {
	begun := time.Now()
	result, err := publisher.Run(cmd.Context(), want)
	push := record.Push{At: begun.UTC(), Run: publisher.ID, To: publisher.To, Phases: result.Phases}
	if kept := f.keep(push); kept != nil {
		if finished(result) {
			kept = fmt.Errorf("all tags have moved; the record does not say so: %w", kept)
		}
		err = errors.Join(err, kept)
	}
	if printed := f.print(cmd, publisher, result, err); printed != nil {
		err = errors.Join(err, printed)
	}
	return unknown(err)
}

// keep adds the push to the record of the folder, if there is one: a last job that has only
// the records of others keeps none.
func (f *pushFlags) keep(push record.Push) error {
	err := record.Pushed(f.recordPath(), push)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// wanted reads the plan that is to be carried out, nil if none was given.
func (f *pushFlags) wanted() (*publish.Plan, error) {
	if f.planFile == "" {
		return nil, nil
	}
	data, err := files.Read(f.planFile)
	if err != nil {
		return nil, unknown(err)
	}
	want, err := publish.ParsePlan(data)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("%s is no plan: %w", f.planFile, err), hint: "'cudabuild push --dry-run --json' prints one"}
	}
	return want, nil
}

func (f *pushFlags) printPlan(cmd *cobra.Command, publisher *publish.Publisher) error {
	plan, err := publisher.Plan(cmd.Context())
	if err != nil {
		return unknown(err)
	}
	if f.asJSON {
		err = plain.JSON(cmd.OutOrStdout(), plan)
	} else {
		err = planPage(cmd.OutOrStdout(), plan, "would upload")
	}
	if err != nil {
		return err
	}
	return unknown(plan.Verdict())
}

// takeBack undoes or abandons a run.
func (f *pushFlags) takeBack(cmd *cobra.Command, run string) error {
	j, err := f.journal(run)
	if err != nil {
		return err
	}
	o := publish.Options{To: j.Plan().To, ID: j.Run, Journals: f.journals(), Show: f.show(cmd), Command: pushAgain(cmd, j.Plan().To)}
	o.Registry = f.registry()
	publisher, err := publish.New(cmd.Context(), o)
	if err != nil {
		return unknown(err)
	}
	what := publisher.Abandon
	if f.undo {
		what = publisher.Undo
	}
	result, err := what(cmd.Context(), j)
	if f.asJSON {
		return errors.Join(plain.JSON(cmd.OutOrStdout(), result), unknown(err))
	}
	for _, tag := range result.Back {
		is := "as it was"
		if slices.Contains(result.New, tag) {
			is = "gone: it was new"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s:%s is %s\n", o.To, tag, is)
	}
	for _, tag := range result.Unstaged {
		fmt.Fprintf(cmd.OutOrStdout(), "%s:%s is gone\n", o.To, tag)
	}
	for _, tag := range result.Staged {
		fmt.Fprintf(cmd.OutOrStdout(), "%s:%s stays: the registry removes no tags\n", o.To, tag)
	}
	if n := len(result.Detached); n > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "%s that the run had attached: gone\n", counted(n, "document"))
	}
	if n := len(result.Attached); n > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "%s that the run had attached: the registry removes none\n", counted(n, "document"))
	}
	if n := len(result.Kept); n > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "%s that the run had attached: kept, of images that have other tags\n", counted(n, "document"))
	}
	for _, tag := range result.Left {
		fmt.Fprintf(cmd.OutOrStdout(), "%s:%s\n", o.To, tag)
	}
	return unknown(err)
}
