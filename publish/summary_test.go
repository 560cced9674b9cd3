// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/evidence"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/publish"
	"github.com/cudabuild/cudabuild/referrer"
	"github.com/cudabuild/cudabuild/registry"
	"github.com/cudabuild/cudabuild/verify"
)

// summary is as much of a VSA as says what let an image through.
type summary struct {
	Inputs []struct {
		Name, URI string
		Digest    map[string]string
	} `json:"inputAttestations"`
	Extension struct {
		Met []string
	} `json:"https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md#vsa"`
}

// attachedTo are the documents of an image, by kind.
func attachedTo(t *testing.T, to, digest string) map[evidence.Kind]evidence.Document {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	repo, err := name.NewRepository(to)
	must(err)
	client, err := registry.New(t.Context(), repo, registry.Options{})
	must(err)
	refs, err := referrer.Open(repo, client)
	must(err)
	subject, err := v1.NewHash(digest)
	must(err)
	list, err := refs.List(t.Context(), subject)
	must(err)
	all := map[evidence.Kind]evidence.Document{}
	for _, f := range list {
		a, err := refs.Read(t.Context(), f)
		must(err)
		d, err := evidence.Parse(a.Type, a.Data)
		must(err)
		all[d.Kind] = d
	}
	return all
}

// TestSummaries: what let an image through names the image that ran, and the rows of that as what it goes by.
func TestSummaries(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1, extra: `tests: [{name: smoke, image: "12.4.1-base-ubuntu22.04", run: [/opt/smoke]}]
publish: {require: {gpu: [{driver: ">=535", gpu: [sm_90], samples: [smoke]}, {driver: ">=535", gpu: [sm_90], samples: [nbody]}]}}
`})
	digest := map[string]string{}
	for _, c := range f.record.Cells {
		digest[c.ID] = c.Digest
	}
	two := f.record.Cells[5] // of two platforms
	two.Images[1].Verdict = verify.Warn
	test := f.matrix.Publish().Tests[0]
	smoke := row(f, two.ID, "smoke", "580.1", "9.0", gpu.Passed, 1)
	smoke.Row.Test, smoke.Row.Expect = test.Digest(), test.ExpectDigest()
	o := f.options(h.address + "/cuda")
	o.Rows = []gpu.Observation{smoke, row(f, "12.4-nbody-debian13", "nbody", "580.1", "9.0", gpu.Passed, 1)}
	asked := o.Rules.GPU
	o.Cells, o.Rules.GPU = f.cells[5:], asked[:1]
	mustRun(t, publisher(t, o), nil)
	o.Cells, o.Rules.GPU, o.ID = f.cells[:5], asked[1:], publish.NewRunID()
	mustRun(t, publisher(t, o), nil)
	f.allComplete(t, o.To)
	nbody := digest["12.4-nbody-debian13"]
	for name, tc := range map[string]struct{ of, ran, verdict string }{
		"the sample":             {nbody, nbody, "pass"},
		"what it stands on":      {digest["12.4-base-debian13"], nbody, "pass"},
		"the platform that ran":  {two.Images[0].Digest, two.Images[0].Digest, "pass"},
		"the other platform":     {two.Images[1].Digest, two.Images[0].Digest, "warn"},
		"the index of platforms": {two.Digest, two.Images[0].Digest, "pass, warn"},
	} {
		documents := attachedTo(t, o.To, tc.of)
		var s summary
		if err := json.Unmarshal(documents[evidence.VSA].Predicate, &s); err != nil {
			t.Fatal(err)
		}
		met := strings.Join(s.Extension.Met, "\n")
		if !strings.HasPrefix(met, "verify warn: "+tc.verdict+"\n") || !strings.Contains(met, "image "+tc.ran+" of ") {
			t.Errorf("%s: met %q, want %s and image %s", name, met, tc.verdict, tc.ran)
		}
		from, at := documents[evidence.Rows], ""
		if tc.of != tc.ran && tc.of != two.Digest {
			from, at = attachedTo(t, o.To, tc.ran)[evidence.Rows], strings.TrimPrefix(tc.ran, "sha256:")
		}
		if len(s.Inputs) != 2 || s.Inputs[1].Name != "rows" || "sha256:"+s.Inputs[1].Digest["sha256"] != from.Digest() || !strings.Contains(s.Inputs[1].URI, at) {
			t.Errorf("%s: inputs %+v, want report and rows %s at %q", name, s.Inputs, from.Digest(), at)
		}
	}
}

// TestSummaryOfTwoCells: cells with the same image have one summary, of the gates of both.
func TestSummaryOfTwoCells(t *testing.T) {
	t.Parallel()
	h, f := newHost(t), newFamily(t, made{seed: 1, day: 1, extra: `tests: [{name: one, image: "12.4-base-debian13", run: [/opt/one]}, {name: two, image: "12.4-runtime-debian13", run: [/opt/two]}]
publish: {require: {gpu: [{driver: ">=535", gpu: [sm_90], samples: [one, two]}]}}
`})
	f.cells = f.cells[:2]
	o := f.options(h.address + "/cuda")
	o.ID, o.StageOnly, o.Journals = "42.1", true, t.TempDir()
	mustRun(t, publisher(t, o), nil)
	repo, err := name.NewRepository(o.To)
	if err != nil {
		t.Fatal(err)
	}
	shared := f.record.Cells[0]
	img, err := remote.Get(repo.Digest(shared.Digest))
	if err == nil {
		err = remote.Tag(repo.Tag("staging-42.1-"+f.cells[1].ID), img)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.record.Cells[1].Digest, f.record.Cells[1].Images = shared.Digest, shared.Images
	for _, test := range o.Rules.Tests {
		r := row(f, f.cells[0].ID, test.Name, "580.1", "9.0", gpu.Passed, 1)
		r.Row.Test, r.Row.Expect = test.Digest(), test.ExpectDigest()
		o.Rows = append(o.Rows, r)
	}
	o.StageOnly, o.Images, o.Journals = false, nil, t.TempDir()
	mustRun(t, publisher(t, o), nil)
	var s summary
	if err := json.Unmarshal(attachedTo(t, o.To, shared.Digest)[evidence.VSA].Predicate, &s); err != nil {
		t.Fatal(err)
	}
	met := strings.Join(s.Extension.Met, "\n")
	if len(s.Extension.Met) != 3 || !strings.Contains(met, "gpu one on ") || !strings.Contains(met, "gpu two on ") {
		t.Errorf("met %q, want the verdict and both tests", met)
	}
}
