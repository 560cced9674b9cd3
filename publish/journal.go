// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// What a line of a journal tells.
const (
	planned   = "plan"      // the run began, with this plan
	uploaded  = "uploaded"  // a blob is in the repository
	staged    = "staged"    // a staging tag names an image
	readBack  = "read-back" // the registry has all of it
	gated     = "gated"     // all that was asked of it holds
	attaching = "attaching" // a document is about to be attached to an image: written before it is
	attached  = "attached"  // it is there
	detached  = "detached"  // it was taken away
	moving    = "moving"    // a tag is about to move: written before it does
	tagged    = "tag"       // it has moved
	putBack   = "put-back"  // it was put back
	unstaged  = "unstaged"  // a staging tag is gone
	done      = "done"      // nothing is left to do
	abandoned = "abandoned"
)

// Entry is a line of a journal: one thing that was done.
type Entry struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Cell   string    `json:"cell,omitempty"`
	Digest string    `json:"digest,omitempty"`
	Tag    string    `json:"tag,omitempty"`
	From   *string   `json:"from,omitempty"` // of a tag: the digest that it named before
	Kind   string    `json:"kind,omitempty"` // of a document, whose artifact has the digest
	// Subject is what the document is attached to.
	Subject string `json:"subject,omitempty"`
	Added   bool   `json:"added,omitempty"` // it is there by this run, and nobody else
	Plan    *Plan  `json:"plan,omitempty"`
	As      *As    `json:"as,omitempty"` // with the plan
}

// As is how a run was begun, and goes on.
type As struct {
	StageOnly      bool `json:"stage_only,omitempty"`
	Staged         bool `json:"staged,omitempty"` // by others
	FullReadBack   bool `json:"full_read_back,omitempty"`
	Older          bool `json:"older,omitempty"`
	FewerPlatforms bool `json:"fewer_platforms,omitempty"`
	NoEvidence     bool `json:"no_evidence,omitempty"`
}

// Journal is what a run has done so far.
type Journal struct {
	Run     string
	Entries []Entry // the first one has a plan
}

// As is how the run was begun.
func (j Journal) As() As {
	if as := j.life()[0].As; as != nil {
		return *as
	}
	return As{}
}

// Plan is what the run had in mind: all of it, where parts of a family were staged one after
// the other.
func (j Journal) Plan() *Plan {
	life := j.life()
	plan := life[0].Plan
	for _, e := range life[1:] {
		if e.Plan == nil {
			continue
		}
		all := *plan
		all.Cells = slices.Clone(plan.Cells)
		for _, c := range e.Plan.Cells {
			if i := slices.IndexFunc(all.Cells, func(o Cell) bool { return o.ID == c.ID }); i >= 0 {
				all.Cells[i] = c
			} else {
				all.Cells = append(all.Cells, c)
			}
		}
		plan = &all
	}
	return plan
}

// life is what was done since the run of this name began last.
func (j Journal) life() []Entry {
	for i := len(j.Entries) - 2; i >= 0; i-- {
		ended := j.Entries[i].What == done || j.Entries[i].What == abandoned
		if ended && j.Entries[i+1].Plan != nil {
			return j.Entries[i+1:]
		}
	}
	return j.Entries
}

// moved reports whether the run has begun to move a tag.
func (j Journal) moved() bool {
	return slices.ContainsFunc(j.life(), func(e Entry) bool { return e.What == moving })
}

// attachedBy are the documents that are there by the runs with these entries, or may be: one was killed before it knew.
func attachedBy(entries []Entry) (ours []Entry) {
	begun, others, known := map[string]int{}, map[string]bool{}, map[string]bool{} // by the digest of the artifact
	for i, e := range entries {
		_, is := begun[e.Digest]
		switch {
		case e.What == attaching && !is:
			begun[e.Digest] = i
		case e.What == attached:
			others[e.Digest] = !e.Added && (others[e.Digest] || !known[e.Digest])
			known[e.Digest] = true
		case e.What == detached:
			delete(begun, e.Digest)
			delete(others, e.Digest)
			delete(known, e.Digest)
		}
	}
	for i, e := range entries {
		if at, is := begun[e.Digest]; is && at == i && !others[e.Digest] {
			ours = append(ours, e)
		}
	}
	return ours
}

// Ended reports whether nothing is left to do.
func (j Journal) Ended() bool {
	last := j.Entries[len(j.Entries)-1].What
	return last == done || last == abandoned
}

const (
	journalExt = ".jsonl"
	maxJournal = 256 << 20 // bytes; ten thousand cells need a tenth of it
)

var errNoPlan = hint.Usage("the journal does not begin with a plan", "the run ended before it did anything: 'cudabuild push' begins another")

// ReadJournal reads the journal of a run in a folder; of the one that has not ended if run
// is "".
func ReadJournal(dir, run string) (Journal, error) {
	if run != "" {
		return readJournal(filepath.Join(dir, run+journalExt))
	}
	all, err := Journals(dir)
	if err != nil {
		return Journal{}, err
	}
	var open []Journal
	var names []string
	for _, j := range all {
		if !j.Ended() {
			open, names = append(open, j), append(names, j.Run)
		}
	}
	switch len(open) {
	case 1:
		return open[0], nil
	case 0:
		return Journal{}, hint.Usage(fmt.Sprintf("%s has no run that is not at its end", dir), "'cudabuild push' begins one; name one that has ended by its ID")
	}
	return Journal{}, hint.Usage(fmt.Sprintf("%s has %d runs that are not at their end", dir, len(open)), "name one of "+strings.Join(names, ", "))
}

// Journals reads all journals of a folder, in the order of their names. A run that was killed
// before its plan was on disk has done nothing, and is left out.
func Journals(dir string) ([]Journal, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Journal
	for _, f := range files {
		if filepath.Ext(f.Name()) != journalExt {
			continue
		}
		j, err := readJournal(filepath.Join(dir, f.Name()))
		if errors.Is(err, errNoPlan) {
			continue
		}
		if err != nil {
			slog.Warn("journal left out", "because", err)
			continue
		}
		all = append(all, j)
	}
	return all, err
}

func readJournal(path string) (Journal, error) {
	file, err := files.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Journal{}, hint.Usage(fmt.Sprintf("no journal %s", path), "the folder has one for each run, RUN"+journalExt)
	}
	if err != nil {
		return Journal{}, err
	}
	defer file.Close()
	j, err := ParseJournal(strings.TrimSuffix(filepath.Base(path), journalExt), io.LimitReader(file, maxJournal))
	if err != nil {
		return j, fmt.Errorf("%s: %w", path, err)
	}
	return j, nil
}

// ParseJournal reads the journal of a run. What is behind the last end of a line was cut off
// by a kill and does not count.
func ParseJournal(run string, r io.Reader) (Journal, error) {
	j := Journal{Run: run}
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var e Entry
		if err == nil {
			err = json.Unmarshal(line, &e)
		}
		if err != nil {
			return Journal{}, fmt.Errorf("line %d: %w", n, err)
		}
		j.Entries = append(j.Entries, e)
	}
	if len(j.Entries) == 0 || j.Entries[0].Plan == nil {
		return Journal{}, errNoPlan
	}
	for _, e := range j.Entries {
		if e.Plan == nil {
			continue
		}
		if err := e.Plan.check(); err != nil {
			return Journal{}, err
		}
		if e.Plan.Run != run {
			return Journal{}, fmt.Errorf("it is the journal of run %q: call the file so", e.Plan.Run)
		}
	}
	return j, nil
}

// journal is one that is written.
type journal struct {
	mu   sync.Mutex
	lock *files.Lock // on the journal's own file
}

// openJournal opens the journal of a run, to write behind its last whole line. One process
// at a time has it.
func openJournal(dir, run string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := files.TryLock(filepath.Join(dir, run+journalExt))
	if _, held := errors.AsType[*files.HeldError](err); held {
		return nil, hint.New(fmt.Sprintf("run %s is under way", run), "another cudabuild publishes it: wait for its end")
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(toLastLine(lock.File), files.SyncDir(dir)); err != nil {
		lock.Unlock()
		return nil, err
	}
	return &journal{lock: lock}, nil
}

// toLastLine cuts off a line that was not written to its end, and goes there.
func toLastLine(file *os.File) error {
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	whole := int64(bytes.LastIndexByte(data, '\n') + 1)
	if err := file.Truncate(whole); err != nil {
		return err
	}
	_, err = file.Seek(whole, io.SeekStart)
	return err
}

// write has the entry on disk when it returns.
func (j *journal) write(e Entry) error {
	e.At = time.Now().UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.lock.File.Write(append(line, '\n')); err != nil {
		return err
	}
	return j.lock.File.Sync()
}

// close ends it: each line is on disk already.
func (j *journal) close() { j.lock.Unlock() }
