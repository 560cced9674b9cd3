// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/report"
	"github.com/cudabuild/cudabuild/sign"
)

// reportSources are what the arguments name, what lies on disk already read.
type reportSources struct {
	list    []report.Source // in the order of the arguments
	run     *runFiles
	since   *runFiles // nil if none was named
	ledgers []report.Ledger
	repo    name.Repository
	written string // repo, as the user wrote it; "" if there is none
	key     *sign.Public
}

// runFiles are the record of a run, or of several jobs that together are one.
type runFiles struct {
	*record.Run

	name  string // as the user wrote it
	files []string
	built builtImages // beside them
}

// withImages are records, and the folders beside them that hold the images of the runs.
func withImages(records []string) (all []string) {
	for _, file := range records {
		all = append(all, file)
		for _, dir := range imageDirs {
			all = append(all, filepath.Join(filepath.Dir(file), dir))
		}
	}
	return all
}

// readRunFiles reads a record, or all those in a folder, which must not say two things of one cell.
func readRunFiles(name string, files []string) (*runFiles, error) {
	r := &runFiles{name: name, files: files}
	type said struct {
		file string
		cell record.Cell
	}
	had := map[string]said{} // by the ID of the cell
	for _, file := range files {
		run, err := record.Read(file)
		switch {
		case err != nil:
			return nil, err
		case run == nil:
			return nil, fmt.Errorf("%s: no such file", file)
		}
		var once []record.Cell
		for _, cell := range run.Cells {
			other, known := had[cell.ID]
			differ := known && (other.cell.Status != cell.Status || other.cell.Digest != cell.Digest)
			switch {
			case differ && other.file == file:
				return nil, hint.Usage(fmt.Sprintf("%s says two things of %s: a report is of one run", file, cell.ID), "records of several jobs may lie in a folder, each in a file run.json")
			case differ:
				return nil, hint.Usage(fmt.Sprintf("%s says one thing of %s, and %s another: a report is of one run", other.file, cell.ID, file), "leave out the one that is older")
			case !known || other.file != file:
				once = append(once, cell)
			}
			had[cell.ID] = said{file, cell}
		}
		run.Cells = once
		r.Run = run.Over(r.Run)
	}
	r.built = openBuilt(files)
	return r, nil
}

// What is taken if no argument says otherwise: the default --out of matrix, and where our documents put rows.
const (
	usualOut    = "out"
	usualLedger = "ledger"
)

const reportForms = "RUN.json is a record of 'cudabuild matrix' or a folder with one, LEDGER a folder with rows of 'cudabuild gpu --ledger', REGISTRY/REPO where images were pushed"

// sources reads what is on this machine. The error says what is named and not there, or not what it is named as.
func (f *reportFlags) sources(args []string) (s *reportSources, err error) {
	if len(args) == 0 {
		args = []string{filepath.Join(usualOut, "run.json")}
		if info, err := os.Stat(usualLedger); err == nil && info.IsDir() {
			args = append(args, usualLedger)
		}
	}
	s = &reportSources{}
	if s.key, err = readPublicKey(f.key); err != nil {
		return nil, err
	}
	for _, arg := range args {
		if err := s.add(arg); err != nil {
			return nil, err
		}
	}
	switch {
	case s.run == nil:
		return nil, hint.Usage("no argument is the record of a run", "name it: cudabuild report out/run.json "+strings.Join(args, " "))
	case f.key != "" && s.written == "":
		return nil, hint.Usage("--key says whose signatures count, and no argument is a repository in a registry", "evidence is attached there: name REGISTRY/REPO, too")
	}
	return s, s.addSince(f.since)
}

// add takes an argument for what it is: what is on disk, else a repository.
func (s *reportSources) add(arg string) error {
	info, err := os.Stat(arg)
	switch {
	case arg == "":
		return hint.Usage("an argument is empty", reportForms)
	case image.OnDisk(arg):
		return hint.Usage(arg+" is an image, and a report is of a run", reportForms)
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid):
		return err
	case err != nil:
		return s.addRepository(arg)
	case !info.IsDir():
		return s.addRun(arg, []string{arg})
	}
	if runs, err := recordFiles([]string{arg}); err == nil {
		return s.addRun(arg, runs)
	}
	return s.addLedger(arg)
}

func (s *reportSources) addRun(arg string, files []string) (err error) {
	if s.run != nil {
		return hint.Usage(fmt.Sprintf("%s and %s are both records of runs, and a report is of one", s.run.name, arg), "--since RUN.json names the earlier one")
	}
	s.run, err = readRunFiles(arg, files)
	s.list = append(s.list, report.Source{Kind: "run", Name: arg})
	return err
}

func (s *reportSources) addLedger(dir string) error {
	rows, err := gpu.ReadLedger(dir)
	source := report.Source{Kind: "ledger", Name: dir}
	switch {
	case len(rows) == 0 && !mayHoldRows(dir):
		return hint.New(fmt.Sprintf("%s has no run.json, and is no ledger: %v", dir, cmp.Or(err, errors.New("no row in it"))), reportForms)
	case err != nil:
		source.Problem, source.Do = strings.ReplaceAll(err.Error(), "\n", "; "), "mend or remove what cannot be read"
	}
	s.ledgers = append(s.ledgers, report.Ledger{Name: dir, Rows: rows})
	s.list = append(s.list, source)
	return nil
}

// mayHoldRows reports whether a folder is a ledger whose rows have not ended, or one that is yet to come.
func mayHoldRows(dir string) bool {
	entries, err := os.ReadDir(dir)
	files, _ := fs.Glob(os.DirFS(dir), "*/*/*.json") // the pattern is one
	return err == nil && len(entries) == 0 || len(files) > 0
}

// registryHost is a registry's name in front of a repository's. A path that is not there must not become a question to
// Docker Hub, to which every other name belongs.
var registryHost = regexp.MustCompile(`^(localhost|[^/]*[.:][^/]*|\[[^/]*\](:\d+)?)/`)

func (s *reportSources) addRepository(arg string) error {
	first, _, _ := strings.Cut(arg, "/")
	_, err := os.Stat(first)
	switch {
	case strings.HasSuffix(arg, "run.json"):
		return hint.New(arg+": no such file or folder", "'cudabuild matrix' builds the images, and writes it")
	case err == nil, strings.HasSuffix(arg, ".json"), strings.HasPrefix(arg, "."), !registryHost.MatchString(arg):
		return hint.New(arg+": no such file or folder, and no repository with the name of its registry in front", reportForms+", as in ghcr.io/acme/cuda")
	}
	if s.written != "" {
		return hint.Usage(fmt.Sprintf("%s and %s are both repositories, and a report is of one", s.written, arg), "make a report of each")
	}
	repo, err := publish.ParseRepository(arg)
	if err != nil {
		return err
	}
	s.repo, s.written = repo, arg
	s.list = append(s.list, report.Source{Kind: "registry", Name: arg})
	return nil
}

func (s *reportSources) addSince(names []string) error {
	switch len(names) {
	case 0:
		return nil
	case 1:
	default:
		return hint.Usage(fmt.Sprintf("--since is given %d times, and what changed is since one run", len(names)), "name the one before this")
	}
	name := names[0]
	if name == "" {
		return hint.Usage("--since is empty", "it is RUN.json of an earlier run, or a folder with it")
	}
	files, err := recordFiles([]string{name})
	if err == nil {
		s.since, err = readRunFiles(name, files)
	}
	if err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	s.list = append(s.list, report.Source{Kind: "since", Name: name})
	return nil
}

// read are the files and folders that the report is made of.
func (s *reportSources) read() []string {
	all := withImages(s.run.files)
	if s.since != nil {
		all = append(all, withImages(s.since.files)...)
	}
	for _, l := range s.ledgers {
		all = append(all, l.Name)
	}
	return all
}
