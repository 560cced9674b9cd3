// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/matrix"
	"github.com/cudabuild/cudabuild/verify"
)

// documents are those about an image or index that this run can make: whoever has the record what it says, who has
// the image on disk an SBOM too, and who moves tags what let it through.
func (p *Publisher) documents(ctx context.Context, about *subject) (all []evidence.Document, err error) {
	if all, err = p.howBuilt(ctx, about); err != nil {
		return nil, err
	}
	reports := p.reports(about.cell, about.image)
	if len(reports) < len(about.image.images()) { // the gate says so
		return all, nil
	}
	report, err := evidence.NewReport(p.subject(about.image), about.image.created(), reports...)
	if err != nil {
		return nil, err
	}
	all = append(all, report)
	if p.StageOnly {
		return all, nil
	}
	through, err := p.letThrough(about, report)
	return append(all, through...), err
}

// subject is an image as documents name it.
func (p *Publisher) subject(m *manifest) evidence.Subject {
	return evidence.Subject{Name: p.repo.Name(), Digest: m.desc.Digest.String()}
}

// howBuilt are the documents that say what is in an image and how it was built. What a record
// does not know, nobody says.
func (p *Publisher) howBuilt(ctx context.Context, about *subject) (all []evidence.Document, err error) {
	m := about.image
	if p.Inventory != nil && p.Images != nil {
		var lists []verify.Inventory
		for _, img := range m.images() {
			list, err := p.inventory(ctx, img)
			if err != nil {
				return nil, err
			}
			lists = append(lists, list)
		}
		sbom, err := evidence.NewSBOM(p.subject(m), m.created(), p.Program, lists...)
		if err != nil {
			return nil, err
		}
		all = append(all, sbom)
	}
	made := p.built[about.cell.ID].MadeOf(m.desc.Digest.String())
	if len(made) == 0 {
		return all, nil
	}
	provenance, err := evidence.NewProvenance(p.subject(m), m.created(), made...)
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
// once all gates are met, that they are. A sample answers for the images that it stands on: then
// their summary goes by the rows of the sample's image, which are attached to that.
func (p *Publisher) letThrough(about *subject, report evidence.Document) (all []evidence.Document, err error) {
	inputs := []evidence.Document{report}
	rows, err := p.rowsOf(about.image)
	switch {
	case err == nil:
		inputs, all = append(inputs, rows), append(all, rows)
	case !errors.Is(err, evidence.ErrNoRows):
		return nil, err
	}
	var met []string
	for _, g := range append([]Gate{p.verdict(about.cell, about.image)}, about.gates...) {
		if g.State != Met {
			return all, nil
		}
		met = append(met, fmt.Sprintf("%s %s: %s", g.Kind, g.Want, g.Why))
		if g.Image == "" || slices.ContainsFunc(inputs[1:], func(d evidence.Document) bool { return d.Subject.Digest == g.Image }) ||
			slices.ContainsFunc(about.image.all(), func(m *manifest) bool { return m.desc.Digest.String() == g.Image }) {
			continue
		}
		rows, err := p.rowsOf(p.image(g.Image))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.Want, err)
		}
		inputs = append(inputs, rows)
	}
	summary, err := evidence.NewVSA(p.subject(about.image), about.image.created(), p.policy(), met, inputs...)
	return append(all, summary), err
}

// rowsOf are the rows of an image.
func (p *Publisher) rowsOf(m *manifest) (evidence.Document, error) {
	var names []verify.Report // of no more than what rows name images by
	for _, img := range m.images() {
		names = append(names, verify.Report{Digest: img.desc.Digest.String(), Config: img.config.Digest.String()})
	}
	return evidence.NewRows(p.subject(m), m.created(), p.rows, names...)
}

// image is one of the cells', by its digest.
func (p *Publisher) image(digest string) *manifest {
	for _, of := range p.images {
		for _, m := range of.all() {
			if m.desc.Digest.String() == digest {
				return m
			}
		}
	}
	return nil
}

// policy is what the matrix asks for.
func (p *Publisher) policy() evidence.Policy { return Policy(p.Rules) }

// Policy is what a matrix asks for, as a [evidence.VSA] names it.
func Policy(rules matrix.Publish) evidence.Policy {
	policy := evidence.Policy{Verify: rules.Verify, Immutable: rules.Immutable}
	for _, on := range rules.GPU {
		policy.GPU = append(policy.GPU, evidence.OnGPU{Driver: on.Driver, GPUs: on.GPUs, Samples: on.Samples})
		for _, name := range on.Samples {
			if test := rules.Test(name); test != nil {
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
