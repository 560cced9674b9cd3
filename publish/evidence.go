// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/registry"
)

// evidence makes the documents about all images, each image once, and asks which of them are
// there. A registry that knows no evidence is no error.
func (p *Publisher) evidence(ctx context.Context, plan *Plan) error {
	plan.Evidence, p.pieces = Outcome{State: Off}, map[string][]attest.Piece{}
	if p.NoEvidence {
		return nil
	}
	plan.Evidence.State = Wanted
	seen, subjects := map[v1.Hash]bool{}, make([][]*manifest, len(plan.Cells))
	for i, c := range plan.Cells {
		for _, m := range p.images[c.Digest].all() {
			if !seen[m.desc.Digest] {
				seen[m.desc.Digest] = true
				subjects[i] = append(subjects[i], m)
			}
		}
	}
	err := registry.Each(ctx, len(plan.Cells), func(ctx context.Context, i int) error {
		for _, m := range subjects[i] {
			if err := p.evidenceOf(ctx, p.Cells[i], &plan.Cells[i], m); err != nil {
				return fmt.Errorf("%s: %w", plan.Cells[i].ID, err)
			}
		}
		return nil
	})
	if outcome := spoils(err); outcome != nil {
		plan.Evidence, err = *outcome, nil
	}
	return err
}

// evidenceOf plans what is attached to one manifest or index of a cell.
func (p *Publisher) evidenceOf(ctx context.Context, c matrix.Cell, cell *Cell, m *manifest) error {
	documents, err := p.documents(ctx, c, cell.Gates, m)
	if err != nil {
		return fmt.Errorf("evidence, which --evidence=false leaves out: %w", err)
	}
	var pieces []attest.Piece
	for _, d := range documents {
		pieces = append(pieces, attest.Document(d, m.desc))
	}
	if p.Key != nil && !p.StageOnly {
		pieces = append(pieces, attest.Signed(p.repo.Name(), m.desc, m.created()))
	}
	there, err := p.attests.Find(ctx, m.desc.Digest, pieces)
	if err != nil {
		return err
	}
	for i, piece := range pieces {
		e := Evidence{Kind: string(piece.Kind), Subject: m.desc.Digest.String(), Digest: there[i].String(), State: There}
		if there[i] == (v1.Hash{}) {
			digest, err := p.attests.Digest(piece)
			if err != nil {
				return err
			}
			e.Digest, e.State = digest.String(), Created
		}
		cell.Evidence = append(cell.Evidence, e)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pieces[c.ID] = append(p.pieces[c.ID], pieces...)
	return nil
}
