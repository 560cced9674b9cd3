// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/verify"
)

// report is the predicate of a [Report].
type report struct {
	Version int        `json:"version"` // 1
	Images  []judgment `json:"images"`
}

// verdicts are as much of a report as is read: what others attach has many findings, of which only the number counts.
type verdicts struct {
	silent

	Version int       `json:"version"`
	Images  []verdict `json:"images"`
}

type verdict struct {
	Digest      string         `json:"digest"`
	Platform    string         `json:"platform"`
	Verdict     verify.Verdict `json:"verdict"`
	Rules       string         `json:"rules"`
	Findings    []struct{}     `json:"findings"`
	Portability struct {
		MinDriver string `json:"min_driver"`
	} `json:"portability"`
}

func (r verdicts) ours() error { return mark("version", r.Version, 1) }

// judgment is a verifier's report without what it cost, which is another each time.
type judgment struct {
	verify.Report

	Stats struct {
		Layers int `json:"layers"`
	} `json:"stats"`
}

// NewReport makes a document of what the verifier found: in one image, or in all those of an
// index, in its order.
func NewReport(s Subject, created time.Time, images ...verify.Report) (Document, error) {
	if len(images) == 0 {
		return Document{}, errors.New("report: of no image")
	}
	r := report{Version: 1}
	for _, image := range images {
		if image.Error != "" {
			return Document{}, errors.New("report: an image was not read: " + image.Error)
		}
		j := judgment{Report: image}
		j.Ref = s.Name + "@" + image.Digest
		j.Stats.Layers = image.Stats.Layers
		r.Images = append(r.Images, j)
	}
	return newDocument(Report, s, created, r)
}

// rows is the predicate of [Rows].
type rows struct {
	Version int          `json:"version"` // 1
	Rows    []record.Row `json:"rows"`    // oldest first
}

// runs are as much of rows as is read.
type runs struct {
	silent

	Version int   `json:"version"`
	Rows    []run `json:"rows"`
}

type run struct {
	Digest  string     `json:"digest"`
	Config  string     `json:"config_digest"`
	Sample  string     `json:"sample"`
	Started time.Time  `json:"started"`
	Result  gpu.Result `json:"result"`
	Under   *struct {
		GPU    string `json:"gpu"`
		Driver string `json:"driver"`
	} `json:"under"`
	Host struct {
		Driver string `json:"driver"`
		GPUs   []struct {
			Name string `json:"name"`
		} `json:"gpus"`
	} `json:"host"`
}

func (r runs) ours() error { return mark("version", r.Version, 1) }

// ErrNoRows is the condition that nothing has run on a GPU.
var ErrNoRows = errors.New("no row of this image")

// NewRows makes a document of the rows that are of an image, or of one of those of an index:
// they have the digest of its manifest or of its configuration, which the reports tell. They are
// verbatim, but for the reference, which is that of the subject. Rows that were not seen on
// a GPU, or have not ended, are left out; of several that are the same run one is kept. The
// error is [ErrNoRows] if none is left.
func NewRows(s Subject, created time.Time, seen []gpu.Observation, images ...verify.Report) (Document, error) {
	type known struct {
		record.Row

		row, host []byte
	}
	var all []known
	for _, o := range seen {
		if o.Row.StandIn || o.Host.StandIn || o.Row.Dry || o.Row.Result == "" || !ofImage(o.Row, s.Digest, images) {
			continue
		}
		o.Row.Image = s.Name + "@" + s.Digest
		row, err := encode(o.Row)
		if err != nil {
			return Document{}, err
		}
		host, err := encode(o.Host)
		if err != nil {
			return Document{}, err
		}
		all = append(all, known{record.Row{Row: o.Row, Host: o.Host}, row, host})
	}
	slices.SortFunc(all, func(a, b known) int { // whatever the order of ledgers
		return cmp.Or(a.Started.Compare(b.Started), bytes.Compare(a.row, b.row), bytes.Compare(a.host, b.host))
	})
	r := rows{Version: 1}
	for i, k := range all {
		if i == 0 || !bytes.Equal(k.row, all[i-1].row) {
			r.Rows = append(r.Rows, k.Row)
		}
	}
	if r.Rows = gpu.Newest(r.Rows, func(r record.Row) gpu.Row { return r.Row }); len(r.Rows) == 0 {
		return Document{}, ErrNoRows
	}
	return newDocument(Rows, s, created, r)
}

// newest is when the last row began, zero of a document that has none.
func (d Document) newest() (at time.Time) {
	var r runs
	if d.Kind != Rows || json.Unmarshal(d.Predicate, &r) != nil {
		return at
	}
	for _, row := range r.Rows {
		if row.Started.After(at) {
			at = row.Started.UTC().Truncate(time.Second)
		}
	}
	return at
}

func ofImage(row gpu.Row, digest string, images []verify.Report) bool {
	return row.Digest == digest || slices.ContainsFunc(images, func(i verify.Report) bool {
		return i.Digest == row.Digest || i.Config != "" && i.Config == row.Config
	})
}

// Policy is what publish: of a matrix asks for.
type Policy struct {
	Verify    string   `json:"verify"` // the worst verdict that may be published
	GPU       []OnGPU  `json:"gpu,omitempty"`
	Immutable []string `json:"immutable,omitempty"`
	// Tests are the digests of the tests of the matrix that GPU names, and of what they expect.
	Tests map[string][]string `json:"tests,omitempty"`
}

// OnGPU asks that samples, or tests, passed on each of some GPUs with some driver.
type OnGPU struct {
	Driver  string   `json:"driver"`
	GPUs    []string `json:"gpu"`
	Samples []string `json:"samples"`
}

// Digest is that of the policy's JSON, in the form of a document: compact, its keys in the order
// of the struct, what is empty left away.
func (p Policy) Digest() string {
	return digestOf(p.json())
}

// json is the policy as a document has it.
func (p Policy) json() json.RawMessage {
	data, _ := encode(p) // of strings alone
	return data
}

// vsa is a SLSA Verification Summary.
// Source: https://slsa.dev/spec/v1.1/verification_summary.
type vsa struct {
	Verifier  resourceID `json:"verifier"`
	Time      time.Time  `json:"timeVerified"`
	Resource  string     `json:"resourceUri"`
	Policy    resource   `json:"policy"`
	Inputs    []resource `json:"inputAttestations"`
	Result    string     `json:"verificationResult"`
	Levels    []string   `json:"verifiedLevels"`
	Extension gates      `json:"https://github.com/cudabuild/cudabuild/blob/main/docs/evidence.md#vsa"`
}

type resourceID struct {
	ID string `json:"id"`
}

func (v vsa) ours() error { return mark("verifier", v.Verifier.ID, page+"#vsa") }

// gates are in an extension field, whose name is an address as the specification asks.
type gates struct {
	Policy json.RawMessage `json:"policy"` // as it is written: a later cudabuild may ask for more
	Met    []string        `json:"met"`
}

// What a summary says; no level of SLSA, which says nothing of what was checked here.
const (
	passed      = "PASSED"
	gatesPassed = "CUDABUILD_GATES_PASSED"
)

// NewVSA makes the summary that the gates of a policy let an image through: met says in words
// what each found, inputs are the documents that they went by, of whichever image. It is as if verified
// when the last of what it goes by was made, the image or a row.
func NewVSA(s Subject, created time.Time, p Policy, met []string, inputs ...Document) (Document, error) {
	if len(met) == 0 {
		return Document{}, errors.New("vsa: of no gates")
	}
	v := vsa{
		Verifier:  resourceID{page + "#vsa"},
		Time:      created.UTC().Truncate(time.Second),
		Resource:  s.uri(),
		Policy:    resource{URI: page + "#policy", Digest: digests(p.Digest())},
		Result:    passed,
		Levels:    []string{gatesPassed},
		Extension: gates{p.json(), met},
	}
	for _, d := range inputs {
		v.Inputs = append(v.Inputs, resource{Name: string(d.Kind), URI: d.Subject.uri(), Digest: digests(d.Digest()), MediaType: InToto})
		if newest := d.newest(); newest.After(v.Time) {
			v.Time = newest
		}
	}
	return newDocument(VSA, s, created, v)
}
