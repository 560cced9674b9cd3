// SPDX-License-Identifier: Apache-2.0

package report

import (
	"time"

	"github.com/cudabuild/cudabuild/attest"
	"github.com/cudabuild/cudabuild/contents"
	"github.com/cudabuild/cudabuild/diff"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/record"
	"github.com/cudabuild/cudabuild/support"
	"github.com/cudabuild/cudabuild/verify"
)

// Input is what a report is made of. Only Run must be there; of what is missing the report says that it is not known.
type Input struct {
	Today   time.Time
	Program string // version of cudabuild
	Title   string // the repository of the tags; "" takes it from the first tag of the run
	// Sources are as the document has them, in the order of the arguments. Of those of kind "run", "ledger" and "since" whose
	// Says is "", [New] says what is in them.
	Sources []Source
	Run     *record.Run
	Ledgers []Ledger
	// Contents and Reports are by the digest of a manifest: what is in the images that could be read, and the verifier's report
	// on these, with Needs, which those of a run record lack. A report decides predictions and words, never the verdict: that is
	// the record's, unless the report's is worse.
	Contents map[string]contents.Image
	Reports  map[string]verify.Report
	Unread   map[string]string       // why contents are not there, by the digest of a manifest
	Ends     map[string]*support.End // the first end of a cell's OS and CUDA release, by ID; that of driver branches is not among them
	// Evidence is by the digest of a cell, which may be that of an index. NoEvidence says why digests have none: "no repository
	// was named", "not in registry.example/cuda".
	Evidence   map[string]attest.Report
	NoEvidence string
	// Elsewhere and Absent are the tags, by the ID of their cell, that name another image in the repository, or nothing.
	Elsewhere, Absent map[string][]string

	Before  *record.Run  // an earlier run, nil if none was named
	Changes *diff.Result // since that
}

// Ledger is the rows of one folder.
type Ledger struct {
	Name string // as the user wrote it, that of its Source
	Rows []gpu.Observation
}
