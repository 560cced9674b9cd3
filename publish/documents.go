// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/verify"
)

// about is what documents are about, and what the record knows of it.
type about struct {
	subject evidence.Subject
	created time.Time
	reports []verify.Report
}

// documents are those about a manifest or index of a cell that this run attaches: who stages knows
// what was built, who promotes what let it through.
func (p *Publisher) documents(ctx context.Context, c matrix.Cell, gates []Gate, m *manifest) (all []evidence.Document, err error) {
	of := about{evidence.Subject{Name: p.repo.Name(), Digest: m.desc.Digest.String()}, m.created(), p.reports(c, m)}
	if p.Images != nil {
		if all, err = p.howBuilt(ctx, c, m, of); err != nil {
			return nil, err
		}
	}
	if len(of.reports) < len(m.images()) { // the gate says so
		return all, nil
	}
	report, err := evidence.NewReport(of.subject, of.created, of.reports...)
	if err != nil {
		return nil, err
	}
	if p.Images != nil {
		all = append(all, report)
	}
	if p.StageOnly {
		return all, nil
	}
	through, err := p.letThrough(gates, of, report)
	return append(all, through...), err
}

// howBuilt are the documents that say what is in an image and how it was built. What a record
// does not know, nobody says.
func (p *Publisher) howBuilt(ctx context.Context, c matrix.Cell, m *manifest, of about) (all []evidence.Document, err error) {
	if p.Inventory != nil {
		var lists []verify.Inventory
		for _, img := range m.images() {
			list, err := p.inventory(ctx, img)
			if err != nil {
				return nil, err
			}
			lists = append(lists, list)
		}
		sbom, err := evidence.NewSBOM(of.subject, of.created, p.Program, lists...)
		if err != nil {
			return nil, err
		}
		all = append(all, sbom)
	}
	made := p.built[c.ID].MadeOf(of.subject.Digest)
	if len(made) == 0 {
		return all, nil
	}
	provenance, err := evidence.NewProvenance(of.subject, of.created, made...)
	return append(all, provenance), err
}

// inventory reads the packages of an image.
func (p *Publisher) inventory(ctx context.Context, m *manifest) (verify.Inventory, error) {
	img, err := p.Images.Image(ocispec.Descriptor{MediaType: string(m.desc.MediaType), Digest: digest.Digest(m.desc.Digest.String()), Size: m.desc.Size})
	if err != nil {
		return verify.Inventory{}, err
	}
	list, err := p.Inventory(ctx, p.repo.Name()+"@"+m.desc.Digest.String(), img)
	if err != nil {
		var layers []string
		for _, l := range m.layers {
			layers = append(layers, l.Digest.String())
		}
		err = p.damaged(ctx, err, layers...)
	}
	return list, err
}

// letThrough are the documents that say what an image was judged by: rows, if there are any, and
// once all gates are met, that they are.
func (p *Publisher) letThrough(gates []Gate, of about, report evidence.Document) (all []evidence.Document, err error) {
	inputs := []evidence.Document{report}
	rows, err := evidence.NewRows(of.subject, of.created, p.rows, of.reports...)
	switch {
	case err == nil:
		inputs, all = append(inputs, rows), append(all, rows)
	case !errors.Is(err, evidence.ErrNoRows):
		return nil, err
	}
	var met []string
	for _, g := range gates {
		if g.State != Met {
			return all, nil
		}
		met = append(met, fmt.Sprintf("%s %s: %s", g.Kind, g.Want, g.Why))
	}
	summary, err := evidence.NewVSA(of.subject, of.created, p.policy(), met, inputs...)
	return append(all, summary), err
}

// policy is what the matrix asks for.
func (p *Publisher) policy() evidence.Policy {
	policy := evidence.Policy{Verify: p.Rules.Verify, Immutable: p.Rules.Immutable}
	for _, on := range p.Rules.GPU {
		policy.GPU = append(policy.GPU, evidence.OnGPU{Driver: on.Driver, GPUs: on.GPUs, Samples: on.Samples})
		for _, name := range on.Samples {
			if test := p.test(name); test != nil {
				if policy.Tests == nil {
					policy.Tests = map[string][]string{}
				}
				policy.Tests[name] = []string{test.Digest(), test.ExpectDigest()}
			}
		}
	}
	return policy
}

// reports are the verifier's on a manifest, or on those of an index.
func (p *Publisher) reports(c matrix.Cell, m *manifest) (all []verify.Report) {
	for _, img := range m.images() {
		for _, r := range p.built[c.ID].Images {
			if r.Digest == img.desc.Digest.String() {
				all = append(all, r)
				break
			}
		}
	}
	return all
}
