// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/report"
)

// published is what a repository has of a run.
type published struct {
	one      sync.Mutex
	evidence map[string]attest.Report // by the digest of a cell
	// other and none are the tags that name another image, or nothing, by the ID of their cell.
	other, none map[string][]string
	same        int // cells all of whose tags name them
}

// readPublished reads which images of a record a repository has, and what is attached to them. That it cannot be read is a
// problem of the source, and no error, which is the end of ctx.
func (s *reportSources) readPublished(ctx context.Context, o attest.Options, show publish.Show, in *report.Input) error {
	in.NoEvidence = "no repository was named"
	if s.written == "" {
		return nil
	}
	var cells []record.Cell
	for _, c := range in.Run.Cells {
		if c.Status == record.Passed && c.Digest != "" && len(c.Tags) > 0 { // tags of others stay where they were
			cells = append(cells, c)
		}
	}
	p := &published{evidence: map[string]attest.Report{}, other: map[string][]string{}, none: map[string][]string{}}
	looker, err := attest.NewLooker(ctx, s.repo, o)
	if err == nil {
		m := show.Begin("evidence", len(cells), 0)
		err = registry.Each(ctx, len(cells), func(ctx context.Context, i int) error {
			defer m.Add(1, 0)
			return p.look(ctx, s, looker, cells[i])
		})
		m.End(err)
	}
	in.Evidence, in.Elsewhere, in.Absent, in.NoEvidence = p.evidence, p.other, p.none, "it is not in "+s.written
	for i, source := range in.Sources {
		if source.Kind != "registry" {
			continue
		}
		if err == nil {
			in.Sources[i].Says = p.says(len(cells))
			continue
		}
		in.NoEvidence = s.written + " could not be read"
		in.Sources[i].Problem, in.Sources[i].Do = err.Error(), registry.Hint(err)
	}
	return ctx.Err()
}

// look looks at one cell. The error means that the registry does not answer, and nothing more is to be asked of it.
func (p *published) look(ctx context.Context, s *reportSources, looker *attest.Looker, cell record.Cell) error {
	var other, none []string
	for _, tag := range cell.Tags {
		tag = tag[strings.LastIndexByte(tag, ':')+1:]
		now, err := looker.Current(ctx, s.repo.Tag(tag))
		switch {
		case err != nil:
			return err
		case now == nil:
			none = append(none, tag)
		case now.Digest.String() != cell.Digest:
			other = append(other, fmt.Sprintf("%s is %.19s now", tag, now.Digest))
		}
	}
	found, err := looker.Look(ctx, s.repo.Digest(cell.Digest))
	absent := registry.Absent(err)
	switch {
	case registry.Unread(err) && !absent:
		return err
	case err != nil:
		ref := s.repo.Digest(cell.Digest).String()
		found = attest.Unread(ref, errors.New(strings.ReplaceAll(err.Error(), ref+": ", "")))
	}
	p.one.Lock()
	defer p.one.Unlock()
	if !absent {
		p.evidence[cell.Digest] = found
	}
	if len(other) > 0 {
		p.other[cell.ID] = other
	}
	if len(none) > 0 {
		p.none[cell.ID] = none
	}
	if len(other)+len(none) == 0 {
		p.same++
	}
	return nil
}

// says what stands under the tags of so many cells.
func (p *published) says(of int) string {
	if of == 0 {
		return "it was not asked: no image has passed"
	}
	text := fmt.Sprintf("%d of %s are there under all their tags", p.same, counted(of, "image"))
	if len(p.other) > 0 {
		text += "; a tag names another image: " + few(p.other)
	}
	if len(p.none) > 0 {
		text += "; a tag is not there: " + few(p.none)
	}
	return text
}

// few names the first of many cells.
func few(of map[string][]string) string {
	const most = 3
	all := slices.Sorted(maps.Keys(of))
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}
