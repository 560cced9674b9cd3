// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/registry"
)

// subject is an image or index that evidence is about.
type subject struct {
	image *manifest
	cell  matrix.Cell // the first that has it
	gates []Gate      // those on GPUs, of all cells that have it
}

// subjects are all images, each once, by the cell that has it first.
func (p *Publisher) subjects(plan *Plan) [][]*subject {
	known, all := map[v1.Hash]*subject{}, make([][]*subject, len(plan.Cells))
	for i, c := range plan.Cells {
		for _, m := range p.images[c.Digest].all() {
			s := known[m.desc.Digest]
			if s == nil {
				s = &subject{image: m, cell: p.Cells[i]}
				known[m.desc.Digest] = s
				all[i] = append(all[i], s)
			}
			for _, g := range c.Gates {
				if g.Kind == ByGPU && !slices.Contains(s.gates, g) {
					s.gates = append(s.gates, g)
				}
			}
		}
	}
	return all
}

// evidence makes the documents about all images, each image once, and asks which of them are
// there. A registry that knows no evidence is no error.
func (p *Publisher) evidence(ctx context.Context, plan *Plan) error {
	plan.Evidence, p.pieces = Outcome{State: Off, Without: []string{}}, map[string][]attest.Piece{}
	if p.NoEvidence {
		return nil
	}
	plan.Evidence.State = Wanted
	subjects := p.subjects(plan)
	return registry.Each(ctx, len(plan.Cells), func(ctx context.Context, i int) error {
		for _, about := range subjects[i] {
			if err := p.evidenceOf(ctx, plan, &plan.Cells[i], about); err != nil {
				return fmt.Errorf("%s: %w", plan.Cells[i].ID, err)
			}
		}
		return nil
	})
}

// evidenceOf plans what is attached to one manifest or index of a cell.
func (p *Publisher) evidenceOf(ctx context.Context, plan *Plan, cell *Cell, about *subject) error {
	pieces, err := p.piecesOf(ctx, about)
	if err != nil {
		return fmt.Errorf("evidence, which --evidence=false leaves out: %w", err)
	}
	digest := about.image.desc.Digest
	there, err := p.attests.Find(ctx, digest, pieces)
	unlisted, why := spoils(err)
	if err != nil && unlisted == "" {
		return err
	}
	for i, piece := range pieces {
		e := Evidence{Kind: string(piece.Kind), Subject: digest.String(), State: Created}
		switch {
		case unlisted != "":
			e.State = unlisted
		case there[i] != (v1.Hash{}):
			e.Digest, e.State = there[i].String(), There
		case piece.Elsewhere():
			e.State = Missing
		}
		if e.Digest == "" && !piece.Elsewhere() {
			would, err := p.attests.Digest(piece)
			if err != nil {
				return err
			}
			e.Digest = would.String()
		}
		cell.Evidence = append(cell.Evidence, e)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pieces[cell.ID] = append(p.pieces[cell.ID], pieces...)
	if unlisted != "" {
		plan.Evidence.add(unlisted, digest.String(), why)
	}
	return nil
}

// piecesOf are what is attached to an image, and what must be there already.
func (p *Publisher) piecesOf(ctx context.Context, about *subject) (pieces []attest.Piece, err error) {
	image := about.image.desc
	if p.Images == nil && p.Inventory != nil {
		pieces = append(pieces, attest.Elsewhere(evidence.SBOM, image))
	}
	documents, err := p.documents(ctx, about)
	if err != nil {
		return nil, err
	}
	for _, d := range documents {
		pieces = append(pieces, attest.Document(d, image))
	}
	if p.Key != nil && !p.StageOnly {
		pieces = append(pieces, attest.Signed(p.repo.Name(), image, about.image.created()))
	}
	return pieces, nil
}

// signer names the key that signs the evidence, "" if none does.
func (p *Publisher) signer() string {
	if p.Key == nil || p.NoEvidence {
		return ""
	}
	return p.Key.Public().Hint()
}
