// SPDX-License-Identifier: Apache-2.0

// Package report makes of a run record, rows of GPU hosts and what images hold one document that people look at: what was
// built, what is in it, where it runs, what changed, what is to do. [New] makes the [Document]; packages page and summary
// below it print it. It is pure.
//
// It promises that what was predicted, seen, seen otherwise than predicted, and not known are states of their own, and that
// rows of stand-ins, of earlier images and without a driver are never counted as seen.
package report

import (
	"fmt"
	"time"

	"github.com/cudabuild/cudabuild/contents"
	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/support"
)

// Document is the report as data, `report --json`.
type Document struct {
	Version int       `json:"version"` // 1
	Made    time.Time `json:"made"`    // the day that it was made
	// Packages is the newest day of the package lists that the images are made of, the zero value if it is not known.
	Packages time.Time `json:"packages,omitzero"`
	Program  string    `json:"program"` // version of cudabuild
	Title    string    `json:"title"`   // the repository of the tags, "cuda"
	Sources  []Source  `json:"sources"` // in the order of the arguments; never null, as all lists
	Verdict  Verdict   `json:"verdict"`
	// Todo is what somebody should do or know, the most urgent first.
	Todo    []Item   `json:"todo"`
	Images  []Image  `json:"images"`  // in the order of the record
	Drivers []Driver `json:"drivers"` // the columns of the grid, oldest first
	GPUs    []GPU    `json:"gpus"`    // oldest first
	Answers []Answer `json:"answers"` // distinct ones, to which the grids of platforms refer
	Layers  []Layer  `json:"layers"`  // distinct ones, to which platforms refer
	Trends  []Trend  `json:"trends"`
	Ends    []Ending `json:"ends"`   // what ends within 90 days, or the next end if nothing does, the next first; then what has ended
	Looser  []Looser `json:"looser"` // requirements that refuse drivers on which the image is predicted to run
	// Outside counts rows that are of no image here, by what they are of: "images that are not in the record", "earlier images of
	// 12.4-nbody-debian13".
	Outside []Count `json:"outside"`
	// Changes are since an earlier run, nil if none was named.
	Changes *diff.Result `json:"changes,omitempty"`
}

// Source is something that the report was made of.
type Source struct {
	Kind    string `json:"kind"` // "run", "images", "ledger", "registry", "since"
	Name    string `json:"name"`
	Says    string `json:"says"`    // "10 cells, built 2026-11-30", "109 rows of 3 hosts"
	Problem string `json:"problem"` // what could not be read, "" if all was
	Do      string `json:"do"`      // what to do about that, "" if it is not known
}

// State is how something stands, worst last.
type State string

// The states, each of which has a symbol, a word and a colour of its own on the page.
const (
	Good      State = "good"      // built, verified, tagged; nothing seen speaks against it
	Warned    State = "warned"    // the same, with a warning
	NotKnown  State = "unknown"   // nobody can tell: no digest, unverified, unreadable
	Skipped   State = "skipped"   // not built, because another failed
	Cancelled State = "cancelled" // not built, because the run ended
	Bad       State = "failed"    // build or verification failed, or a GPU showed a failure that was not predicted

	// Noted is an item's alone: it is to be known, and no image is worse for it.
	Noted State = "note"
)

// Verdict is the answer for the whole run.
type Verdict struct {
	State    State  `json:"state"`
	Sentence string `json:"sentence"` // with a full stop
	// FailsOn says which images are predicted to fail on which driver branches, of those that hosts have or that a host may have,
	// and which driver they need; LimitedOn which are to run there, and newer functions to fail. More than three images are
	// counted. "" if that is known of none.
	FailsOn   string `json:"fails_on"`
	LimitedOn string `json:"limited_on"`
}

// Item is something to do or to know.
type Item struct {
	State State `json:"state"`
	// Kind is "disagrees", "finding", "cell", "evidence", "slower", "source", "fails-on", "changed", "ends", "ended" or "stale".
	Kind   string   `json:"kind"`
	Text   string   `json:"text"`   // one sentence: what, and why
	Do     string   `json:"do"`     // the next step in sentences, "" if there is none
	Images []string `json:"images"` // IDs
}

// Count is a number of things of one kind.
type Count struct {
	What string `json:"what"`
	N    int    `json:"n"`
}

// Rows is a number of rows of something, in words.
func (c Count) Rows() string {
	if c.N == 1 {
		return "1 row is of " + c.What
	}
	return fmt.Sprintf("%d rows are of %s", c.N, c.What)
}

// Image is one cell of the matrix.
type Image struct {
	ID     string `json:"id"`
	OS     string `json:"os"`
	CUDA   string `json:"cuda"`
	Kind   string `json:"kind"`   // flavor or sample: "base", "nbody"
	Sample bool   `json:"sample"` // which of both
	State  State  `json:"state"`
	// Why says what speaks against it, "" if nothing does; Hint what to do.
	Why       string       `json:"why"`
	Hint      string       `json:"hint"`
	Status    string       `json:"status"`  // the record's
	Verdict   string       `json:"verdict"` // the verifier's, the worst of its platforms; "" if it was not verified
	Digest    string       `json:"digest"`  // "" if none was built
	Tags      []string     `json:"tags"`
	SizeBytes int64        `json:"size_bytes"`
	Before    *Before      `json:"before"` // in the earlier run; null without one, or if it was not there
	Ends      *support.End `json:"ends"`   // the first of its OS, release and driver branch; null if no end is known
	Ended     bool         `json:"ended"`
	Platforms []Platform   `json:"platforms"`
	Rows      []Row        `json:"rows"` // newest first: those of this very image, and of stand-ins and earlier images, which say so
}

// Before is an image in an earlier run.
type Before struct {
	Digest    string `json:"digest"`
	SizeBytes int64  `json:"size_bytes"`
	State     State  `json:"state"`
}

// Platform is the image of one platform.
type Platform struct {
	Platform string    `json:"platform"`
	Digest   string    `json:"digest"`
	Verdict  string    `json:"verdict"`
	Findings []Finding `json:"findings"`
	// Layers are indexes into Document.Layers, bottom first; Unread says why what is in the image is not shown.
	Layers  []int           `json:"layers"`
	Unread  string          `json:"unread"`
	History []contents.Step `json:"history"`
	Env     []string        `json:"env"`
	// Starts says in words what a container of it starts, "" where that is not known.
	Starts string `json:"starts"`
	// Requires says the requirements in words, one each.
	Requires []Requirement `json:"requires"`
	// Needs says in sentences what it needs of a host: the oldest driver and why, device code, whose libcuda.
	Needs    []string   `json:"needs"`
	From     []Part     `json:"from"` // what it was made of, and by
	Evidence []Evidence `json:"evidence"`
	// EvidenceUnread says why nothing is known of evidence: no repository was named, or it could not be read. "" if it was read.
	EvidenceUnread string `json:"evidence_unread"`
	// Grid has an index into Document.Answers for each driver and GPU, GPU by GPU within a driver; -1 where
	// the pair does not exist. Empty if the image needs nothing of a driver, or was not verified.
	Grid []int `json:"grid"`
}

// Finding is one finding of the verifier.
type Finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Path     string `json:"path"`
	Layer    int    `json:"layer"` // index from the bottom, -1 for the whole image
	Detail   string `json:"detail"`
	Why      string `json:"why"` // why the rule matters
	Fix      string `json:"fix"`
}

// Layer is one layer.
type Layer struct {
	Digest    string    `json:"digest"`
	SizeBytes int64     `json:"size_bytes"` // compressed
	CreatedBy string    `json:"created_by"`
	Images    []int     `json:"images"`   // indexes into Document.Images of those that have it
	Packages  []Package `json:"packages"` // that it brings, and that are still there in the image that was read first
}

// Package is one package.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
	Manager string `json:"manager"`
}

// Requirement is one NVIDIA_REQUIRE_* variable.
type Requirement struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Words string `json:"words"` // "a driver of 525.60.13 or newer"
}

// Part is something that an image was made of: as record.Part, and programs with their versions.
type Part struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Date   string `json:"date"`
}

// Evidence is one document, or signature, attached to an image.
type Evidence struct {
	Kind string `json:"kind"`
	// State is attest's: "valid", of a document that the key which was given has signed, "unsigned", "stale", "failed", "foreign"
	// or "damaged"; or "unchecked", of one whose signature nobody has checked for want of a key, or "missing", of a kind of which
	// there is no valid document.
	State  string `json:"state"`
	Signer string `json:"signer"` // "" if nobody has signed it, or nobody has checked that
	Why    string `json:"why"`
}

// Driver is a column of the grid: a branch.
type Driver struct {
	Branch  string       `json:"branch"`  // "535"
	Version string       `json:"version"` // that predictions are for, "535.54.03"; "" of a branch that was only seen
	Ends    *support.End `json:"ends"`
	Ended   bool         `json:"ended"`
	Seen    []string     `json:"seen"`  // versions of it on hosts whose rows are here, sorted
	Hosts   []string     `json:"hosts"` // that have it, sorted: "gpu-7", or "a host with NVIDIA H200" of one without a name
}

// GPU is an architecture.
type GPU struct {
	Arch string   `json:"arch"` // "sm_90"
	Name string   `json:"name"` // "Hopper"
	Seen []string `json:"seen"` // models on hosts whose rows are here, sorted
}

// How is from what an answer is known.
type How string

// The ways, each of which has a shape of its own on the page.
const (
	Predicted How = "predicted" // by rules alone
	Seen      How = "seen"      // on a GPU, by this very image, as predicted or where nothing was predicted
	Disagrees How = "disagrees" // on a GPU, by this very image, and otherwise than predicted
	Open      How = "unknown"   // the rules cannot tell, and nobody has seen it
)

// Answer is what is known of an image on a driver branch and a GPU.
type Answer struct {
	How  How    `json:"how"`
	Runs string `json:"runs"` // "yes", "limited" (newer functions fail), "no"; "" if not known
	// Verdict and Why are the prediction's.
	Verdict string `json:"verdict"`
	Why     string `json:"why"`
	// Rows are indexes into Image.Rows of what was seen; empty if nothing was.
	Rows []int `json:"rows"`
}

// Row is one run of a test on a GPU host.
type Row struct {
	Test    string    `json:"test"`
	Engine  string    `json:"engine"`
	Driver  string    `json:"driver"`
	GPU     string    `json:"gpu"`  // model
	Arch    string    `json:"arch"` // "sm_90", "" if the host did not say
	Started time.Time `json:"started"`
	Result  string    `json:"result"` // gpu's: pass, fail, waived, refused; "" if it has not ended
	Agrees  *bool     `json:"agrees"`
	// Discount says why the row does not count as seen: "stand-in", "without a driver", "not ended", "no digest", "result not
	// known", "earlier image", "image not verified", "platform not known" of a pass of an index, "no date" or "date in the future"; ""
	// if it does.
	Discount  string `json:"discount"`
	Predicted string `json:"predicted"`
	Reason    string `json:"reason"`
	CUDAError string `json:"cuda_error"`
	Digest    string `json:"digest"` // of the image that ran
	// ByConfig is whether it counts by the digest of its configuration: its manifest was another, as of the same layers packed
	// in another way.
	ByConfig bool   `json:"by_config"`
	Libcuda  string `json:"libcuda"`
	Sharing  string `json:"sharing"` // in words, "" if it had its GPU to itself
	File     string `json:"file"`    // of the ledger, "" of a row of the record
}

// Trend is one figure over time, of one test, engine and GPU model.
type Trend struct {
	Image  string  `json:"image"` // ID of the cell
	Test   string  `json:"test"`
	Engine string  `json:"engine"`
	GPU    string  `json:"gpu"`
	Figure string  `json:"figure"` // "GFLOP/s", or the name of a figure of a test of one's own
	Better string  `json:"better"` // "higher" or "lower"
	Points []Point `json:"points"` // oldest first, one a day, digest and driver
	// Starts, Median, Spread and Limit are the baseline's (docs/baseline.md) of all starts but those of the last point.
	Starts int     `json:"starts"`
	Median float64 `json:"median"`
	Spread float64 `json:"spread"`
	Limit  float64 `json:"limit"`
	Worse  bool    `json:"worse"` // the last point is beyond the limit
}

// Point is some starts.
type Point struct {
	When   time.Time `json:"when"` // the last
	Digest string    `json:"digest"`
	Driver string    `json:"driver"`
	Now    bool      `json:"now"` // of the image that stands in this report
	Starts int       `json:"starts"`
	Median float64   `json:"median"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
}

// Ending is something that ends or has ended, with the images that it concerns.
type Ending struct {
	End    support.End `json:"end"`
	Ended  bool        `json:"ended"`
	Days   int         `json:"days"` // until the end, negative since it; 0 if there is no date
	Images []string    `json:"images"`
	Hosts  []string    `json:"hosts"` // of a driver branch, as Driver.Hosts
}

// Looser is a requirement that refuses drivers on which the image is predicted to run.
type Looser struct {
	Image    string   `json:"image"`
	Requires string   `json:"requires"` // the value
	Could    string   `json:"could"`    // the value that would admit them, "driver>=450.80.02"
	Drivers  []string `json:"drivers"`  // branches that would be admitted
	Seen     []string `json:"seen"`     // of these, on which it was seen to run
}
