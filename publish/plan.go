// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/registry"
)

// Plan is what a run will do, as `push --dry-run --json` prints it.
type Plan struct {
	Version int    `json:"version"` // 1
	To      string `json:"to"`
	Run     string `json:"run"`
	// Compression is how layers are compressed, "zstd" if any of them is.
	Compression string `json:"compression"`
	Cells       []Cell `json:"cells"` // in the order of the matrix; never null
	// Key names the key that signs the evidence, "" if none does.
	Key string `json:"key"`
	// Evidence is what becomes of the evidence of all cells.
	Evidence Outcome `json:"evidence"`
	Totals   Totals  `json:"totals"`
}

// ParsePlan reads a plan as `push --dry-run --json` prints it.
func ParsePlan(data []byte) (*Plan, error) {
	var plan Plan
	if err := json.Unmarshal(data, &plan); err != nil {
		return nil, err
	}
	if err := plan.check(); err != nil {
		return nil, err
	}
	return &plan, nil
}

// check reports a plan that no run can have made. Staging tags are removed by what plans in
// journals say, and with tags of another form people would lose theirs.
func (plan *Plan) check() error {
	if plan.Version != 1 {
		return fmt.Errorf("version %d, want 1", plan.Version)
	}
	if plan.To == "" {
		return errors.New("it does not say where to")
	}
	if err := CheckRunID(plan.Run); err != nil {
		return err
	}
	cells, tags := map[string]bool{}, map[string]bool{}
	for _, c := range plan.Cells {
		switch {
		case cells[c.ID]:
			return fmt.Errorf("cell %q is there twice", c.ID)
		case c.Staging != stagingTag(plan.Run, c.ID):
			return fmt.Errorf("cell %q: its staging tag is %q, not %q", c.ID, c.Staging, stagingTag(plan.Run, c.ID))
		}
		cells[c.ID] = true
		for _, t := range c.Tags {
			if tags[t.Name] {
				return fmt.Errorf("tag %q is there twice", t.Name)
			}
			tags[t.Name] = true
		}
	}
	return nil
}

// Cell is what becomes of one cell's image.
type Cell struct {
	ID     string `json:"id"`
	Digest string `json:"digest"` // of the manifest, or of the index of several platforms
	// Staging is the tag that the image has until its tags move.
	Staging string `json:"staging"`
	// Uploads are the blobs that no cell before it has; never null.
	Uploads []Blob `json:"uploads"`
	Tags    []Tag  `json:"tags"`  // the canonical one first; never null
	Gates   []Gate `json:"gates"` // never null
	// Evidence are the documents about its image and those of its platforms that no cell before
	// it has; never null. What a gate that is missing will bring is not among them.
	Evidence []Evidence `json:"evidence"`
}

// How a blob comes into the repository.
const (
	Send  = "upload" // from here
	Mount = "mount"  // from another repository of the registry
	There = "there"
)

// Blob is a layer or a configuration.
type Blob struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	How    string `json:"how"`
	From   string `json:"from,omitempty"` // the repository to mount from
}

// What becomes of a tag.
const (
	Created = "new"
	Same    = "same"
	Moved   = "moved"
	Refused = "refused"
)

// Tag is a name of the image in the repository.
type Tag struct {
	Name string  `json:"name"`
	From *string `json:"from"` // digest that it names now, null if it is not there
	To   string  `json:"to"`
	Move string  `json:"move"`
	Why  string  `json:"why"` // it is refused, "" if it is not
}

// from is what the tag names now, in words.
func (t Tag) from() string {
	if t.From == nil {
		return "nothing"
	}
	return *t.From
}

// Totals sums a plan up.
type Totals struct {
	Cells       int   `json:"cells"`
	Blobs       int   `json:"blobs"`
	Bytes       int64 `json:"bytes"` // of all blobs
	UploadBytes int64 `json:"upload_bytes"`
	MountBytes  int64 `json:"mount_bytes"`
	New         int   `json:"tags_new"`
	Same        int   `json:"tags_same"`
	Moved       int   `json:"tags_moved"`
	Refused     int   `json:"tags_refused"`

	EvidenceNew   int `json:"evidence_new"`
	EvidenceThere int `json:"evidence_there"`
}

// Plan looks what is here and in the registry, and changes neither. It is an error if a
// cell has no image that passed.
func (p *Publisher) Plan(ctx context.Context) (*Plan, error) {
	plan := &Plan{Version: 1, To: p.repo.Name(), Run: p.ID, Cells: []Cell{}, Key: p.signer()}
	for _, c := range p.Cells {
		built, err := p.passed(c.ID)
		if err != nil {
			return nil, err
		}
		cell := Cell{ID: c.ID, Digest: built.Digest, Staging: p.staging(c.ID), Uploads: []Blob{}, Tags: []Tag{}, Gates: []Gate{}, Evidence: []Evidence{}}
		for _, tag := range tagsOf(c) {
			cell.Tags = append(cell.Tags, Tag{Name: tag, To: built.Digest})
		}
		plan.Cells = append(plan.Cells, cell)
	}
	if err := p.load(ctx, plan); err != nil {
		return nil, err
	}
	p.blobs(plan)
	plan.Compression = p.compression()
	if err := p.ask(ctx, plan); err != nil {
		return nil, err
	}
	for i := range plan.Cells {
		plan.Cells[i].Gates = p.gates(p.Cells[i], plan)
	}
	if err := p.evidence(ctx, plan); err != nil {
		return nil, err
	}
	plan.sum()
	return plan, nil
}

// passed returns the record of a cell whose image passed.
func (p *Publisher) passed(id string) (record.Cell, error) {
	built, known := p.built[id]
	switch {
	case !known:
		return built, &NotReadyError{id, "no run has built it", "'cudabuild matrix' builds it; --only chooses other cells"}
	case built.Status != record.Passed:
		return built, &NotReadyError{id, fmt.Sprintf("it %s: %s", built.Status, built.Reason), "nothing is published until all chosen cells pass; --only leaves some away"}
	}
	return built, nil
}

// NotReadyError is a cell that cannot be published.
type NotReadyError struct{ Cell, Why, Next string }

func (e *NotReadyError) Error() string { return e.Cell + ": " + e.Why }

// Hint is what to do about it.
func (e *NotReadyError) Hint() string { return e.Next }

// Code is that of something that was checked and failed.
func (e *NotReadyError) Code() int { return 1 }

// load reads the manifests of all cells: from disk, or the staged ones from the registry.
func (p *Publisher) load(ctx context.Context, plan *Plan) error {
	return registry.Each(ctx, len(plan.Cells), func(ctx context.Context, i int) error {
		cell := plan.Cells[i]
		var err error
		if p.Images != nil {
			err = p.fromDisk(ctx, cell)
		} else {
			err = p.fromStaging(ctx, cell)
		}
		if err != nil && !errors.As(err, new(*NotReadyError)) { // which names the cell
			err = fmt.Errorf("%s: %w", cell.ID, err)
		}
		return err
	})
}

// blobs lists the blobs of each cell that none before it has.
func (p *Publisher) blobs(plan *Plan) {
	seen := map[v1.Hash]bool{}
	for i := range plan.Cells {
		cell := &plan.Cells[i]
		for _, d := range p.images[cell.Digest].blobs() {
			if !seen[d.Digest] {
				seen[d.Digest] = true
				cell.Uploads = append(cell.Uploads, Blob{Digest: d.Digest.String(), Size: d.Size})
			}
		}
	}
}

// ask asks the registry for every blob and every tag.
func (p *Publisher) ask(ctx context.Context, plan *Plan) error {
	var questions []func(context.Context) error
	others := p.otherRepositories()
	for i := range plan.Cells {
		cell := &plan.Cells[i]
		for k := range cell.Uploads {
			questions = append(questions, func(ctx context.Context) error { return p.how(ctx, &cell.Uploads[k], others) })
		}
		for k := range cell.Tags {
			questions = append(questions, func(ctx context.Context) error { return p.move(ctx, &cell.Tags[k], p.images[cell.Digest]) })
		}
	}
	return registry.Each(ctx, len(questions), func(ctx context.Context, i int) error { return questions[i](ctx) })
}

// how finds out how a blob comes into the repository.
func (p *Publisher) how(ctx context.Context, b *Blob, others []name.Repository) error {
	there, err := p.has(ctx, p.repo, b.Digest, b.Size)
	if err != nil {
		return err
	}
	b.How = There
	if there {
		return nil
	}
	b.How = Send
	for _, other := range others {
		// Another repository may be closed to us: then the blob is sent.
		if there, err := p.has(ctx, other, b.Digest, b.Size); err == nil && there {
			b.How, b.From = Mount, other.Name()
			return nil
		}
	}
	return nil
}

// move finds out what becomes of a tag.
func (p *Publisher) move(ctx context.Context, t *Tag, img *manifest) error {
	now, err := p.current(ctx, t.Name)
	if err != nil {
		return err
	}
	switch {
	case now == nil:
		t.Move = Created
		return nil
	case now.Digest.String() == t.To:
		t.From, t.Move = &t.To, Same
		return nil
	}
	from := now.Digest.String()
	t.From, t.Move = &from, Moved
	if t.Why, err = p.refusal(ctx, t.Name, from, img); t.Why != "" {
		t.Move = Refused
	}
	return err
}

// refusal says why a tag may not move from an image to another, "" if it may.
func (p *Publisher) refusal(ctx context.Context, tag, from string, img *manifest) (string, error) {
	if i := slices.IndexFunc(p.Rules.Immutable, func(glob string) bool { ok, _ := path.Match(glob, tag); return ok }); i >= 0 {
		return fmt.Sprintf("%q in publish.immutable: it never moves from %s", p.Rules.Immutable[i], from), nil
	}
	if p.Older && p.FewerPlatforms {
		return "", nil
	}
	old, err := p.named(ctx, from)
	if err != nil {
		return "", fmt.Errorf("tag %s names %s: %w", tag, from, err)
	}
	if old == nil { // an artifact, or a manifest that is not of an image: it has neither date nor platform
		return "", nil
	}
	if missing := without(old.platforms(), img.platforms()); len(missing) > 0 && !p.FewerPlatforms {
		return fmt.Sprintf("it names an image for %v too, which this one has not; --fewer-platforms moves it", missing), nil
	}
	if was, is := old.created(), img.created(); was.After(is) && !p.Older {
		return fmt.Sprintf("it names an image of %s, and this one is older, of %s; --older moves it", was.Format("2006-01-02 15:04:05"), is.Format("2006-01-02 15:04:05")), nil
	}
	return "", nil
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

func (plan *Plan) sum() {
	t := Totals{Cells: len(plan.Cells)}
	for _, c := range plan.Cells {
		for _, b := range c.Uploads {
			t.Blobs++
			t.Bytes += b.Size
			switch b.How {
			case Send:
				t.UploadBytes += b.Size
			case Mount:
				t.MountBytes += b.Size
			}
		}
		for _, tag := range c.Tags {
			*map[string]*int{Created: &t.New, Same: &t.Same, Moved: &t.Moved, Refused: &t.Refused}[tag.Move]++
		}
		for _, e := range c.Evidence {
			switch e.State {
			case Created:
				t.EvidenceNew++
			case There:
				t.EvidenceThere++
			}
		}
	}
	plan.Totals = t
}

// refused is an error that names the tags that may not move, nil if all may.
func (plan *Plan) refused() error {
	var errs []error
	for _, c := range plan.Cells {
		for _, t := range c.Tags {
			if t.Move == Refused {
				errs = append(errs, fmt.Errorf("%s: tag %s stays: %s", c.ID, t.Name, t.Why))
			}
		}
	}
	return failed(errors.Join(errs...), "")
}

// Compare returns an error if the world is not as it was when a plan was made: other images,
// tags that moved meanwhile, gates of another state, other evidence. That blobs or documents came there is no matter.
func (plan *Plan) Compare(now *Plan) error {
	var errs []error
	moved := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if plan.To != now.To {
		moved("the plan is for %s, not for %s", plan.To, now.To)
	}
	if plan.Key != now.Key {
		moved("the plan signs %s, and this run %s", signedBy(plan.Key), signedBy(now.Key))
	}
	was := map[string]Cell{}
	for _, c := range plan.Cells {
		was[c.ID] = c
	}
	for _, c := range now.Cells {
		old, planned := was[c.ID]
		delete(was, c.ID)
		switch {
		case !planned:
			moved("%s: the plan has no such cell", c.ID)
		case old.Digest != c.Digest:
			moved("%s: the image was %s and is %s", c.ID, old.Digest, c.Digest)
		default:
			errs = append(errs, differences(old, c)...)
		}
	}
	for _, c := range plan.Cells {
		if _, missing := was[c.ID]; missing {
			moved("%s: it is in the plan and not chosen now", c.ID)
		}
	}
	return failed(errors.Join(errs...), "--dry-run --json makes a new plan")
}

// differences of a cell whose image is the same.
func differences(old, now Cell) (errs []error) {
	before := map[string]Tag{}
	for _, t := range old.Tags {
		before[t.Name] = t
	}
	for _, t := range now.Tags {
		if o, planned := before[t.Name]; !planned {
			errs = append(errs, fmt.Errorf("%s: the plan has no tag %s", now.ID, t.Name))
		} else if o.from() != t.from() || o.Move != t.Move {
			errs = append(errs, fmt.Errorf("%s: tag %s named %s and names %s (%s, now %s)", now.ID, t.Name, o.from(), t.from(), o.Move, t.Move))
		}
	}
	if len(old.Tags) > len(now.Tags) {
		errs = append(errs, fmt.Errorf("%s: the plan has %d tags, now there are %d", now.ID, len(old.Tags), len(now.Tags)))
	}
	if !slices.EqualFunc(old.Gates, now.Gates, func(a, b Gate) bool { return a.Want == b.Want && a.State == b.State }) {
		errs = append(errs, fmt.Errorf("%s: its gates are not in the state that they were in", now.ID))
	}
	if !slices.EqualFunc(old.Evidence, now.Evidence, func(a, b Evidence) bool { return a.Kind == b.Kind && a.Subject == b.Subject && a.Digest == b.Digest }) {
		errs = append(errs, fmt.Errorf("%s: the plan has other evidence of it", now.ID))
	}
	return errs
}

// signedBy is a key in words.
func signedBy(key string) string {
	if key == "" {
		return "nothing"
	}
	return "evidence by key " + key
}

// failed makes err one of something that was checked and does not hold, nil if it is nil.
func failed(err error, next string) error {
	if err == nil {
		return nil
	}
	return &FailedError{err, next}
}

// FailedError is something that was looked at and does not hold: exit code 1.
type FailedError struct {
	err  error
	next string
}

func (e *FailedError) Error() string { return e.err.Error() }
func (e *FailedError) Unwrap() error { return e.err }

// Hint is what to do about it.
func (e *FailedError) Hint() string {
	if e.next != "" {
		return e.next
	}
	return hint.Of(e.err)
}

// Code is that of something that was checked and failed.
func (e *FailedError) Code() int { return 1 }
