// SPDX-License-Identifier: Apache-2.0

// Package record is the run record: what one run of the matrix did with each cell,
// as the document that `cudabuild matrix --json` prints and that other programs
// read, and what GPU hosts showed of its images since. Fields may be added, never
// renamed. [Run.Sum] fills the totals, [Run.Merge] and [Observe] write the file.
package record

import (
	"time"

	"github.com/cudabuild/cudabuild/verify"
)

// Status is how far a cell came.
type Status string

// The states of a cell at the end of a run.
const (
	Passed    Status = "passed"    // built, verified, standing under its tag
	Failed    Status = "failed"    // at Stage, for Reason
	Skipped   Status = "skipped"   // not tried, or not tagged, because a cell below it failed
	Cancelled Status = "cancelled" // the run ended first
)

// The stages at which a cell can fail, in their order.
const (
	StageBootstrap = "bootstrap"
	StageBuild     = "build"
	StageVerify    = "verify"
)

// Run is the record of one run.
type Run struct {
	Version int     `json:"version"` // 1
	Inputs  []Input `json:"inputs"`  // one an OS and platform, sorted; never null
	Cells   []Cell  `json:"cells"`   // in the order of the plan; never null
	// Lock is the digest of the matrix.lock that the last run was held to, "" if to none.
	Lock string `json:"lock,omitempty"`
	// Pushes are what was published of it, oldest first.
	Pushes []Push `json:"pushes,omitempty"`
	// Builders are the BuildKits that the user named for the last run, in his order; nil if it was cudabuild's own.
	Builders []Builder `json:"builders,omitempty"`
	Totals   Totals    `json:"totals"`
}

// Input is the state of the repositories that an OS's images were made from.
type Input struct {
	OS       string    `json:"os"`
	Platform string    `json:"platform"`
	Root     string    `json:"root"`  // digest of the root file system's manifest
	Lists    string    `json:"index"` // digest of the package lists' manifest
	Date     time.Time `json:"date"`  // of the newest package list, the date of the images
}

// Cell is what became of one cell.
type Cell struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
	Stage  string `json:"stage"`          // where it failed, "" if it did not
	Reason string `json:"reason"`         // why it did not pass, "" if it did
	Hint   string `json:"hint,omitempty"` // what to do about it, if that is known
	// Digest is the manifest's, "" if none was built. A failed image is kept by it.
	Digest       string          `json:"digest"`
	Tags         []string        `json:"tags"`               // full names, the canonical one first; those of a cell that did not pass stay where they were
	SizeBytes    int64           `json:"size_bytes"`         // of its blobs, compressed, shared ones included
	Cached       bool            `json:"cached"`             // nothing had changed since an earlier run
	BuildSeconds float64         `json:"build_seconds"`      // from its solve to its verdict, cells below not counted
	Images       []verify.Report `json:"images"`             // one a platform; never null
	Made         []Made          `json:"made,omitempty"`     // one a platform, in their order; nil if none was built
	Builders     []string        `json:"builders,omitempty"` // addresses of the BuildKits that built it, or tried to, if the user named them
	Rows         []Row           `json:"rows"`               // of GPU hosts, oldest first; never null
	// Caches are those in registries that its build was given, and the ones that it was written to, in
	// that order; nil if it was not built, or without caches.
	Caches []Cache `json:"caches,omitempty"`
}

// What became of a BuildKit in a run.
const (
	BuilderUsed   = "used"
	BuilderLost   = "lost"   // it did not answer, or no longer; others had to take over
	BuilderUnused = "unused" // there was nothing for it to build
)

// Builder is a BuildKit that the user named.
type Builder struct {
	Address string `json:"address"` // without user, password and parameters
	Version string `json:"version"` // "" if it has not said it
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"` // why it is lost
}

// CacheState is what a run had of a cache in a registry.
type CacheState string

// The states of caches.
const (
	CacheImported    CacheState = "imported"    // it was given to BuildKit, which takes what it has a use for
	CacheMissing     CacheState = "missing"     // nothing stands there yet
	CacheUnreachable CacheState = "unreachable" // the registry does not give it
	CacheBroken      CacheState = "broken"      // a part of it cannot be had; the image was built without
	CacheExported    CacheState = "exported"    // what was built stands there now
	CacheCurrent     CacheState = "current"     // it stood there already
	CacheFailed      CacheState = "failed"      // it could not be written; the image is not concerned
)

// Cache is a cache of one image in a registry.
type Cache struct {
	Ref    string     `json:"ref"` // registry/repository:tag
	State  CacheState `json:"state"`
	Reason string     `json:"reason,omitempty"` // of what is not well
}

// Totals sums up a run.
type Totals struct {
	Cells     int     `json:"cells"`
	Passed    int     `json:"passed"`
	Failed    int     `json:"failed"`
	Skipped   int     `json:"skipped"`
	Cancelled int     `json:"cancelled"`
	Cached    int     `json:"cached"`
	SizeBytes int64   `json:"size_bytes"` // of the distinct blobs of all images
	Seconds   float64 `json:"seconds"`
	// CacheFetchedBytes are those of blobs that came from caches in registries, CacheSentBytes those that went there.
	CacheFetchedBytes int64 `json:"cache_fetched_bytes,omitempty"`
	CacheSentBytes    int64 `json:"cache_sent_bytes,omitempty"`
}

// Sum fills the totals that follow from the cells.
func (r *Run) Sum() {
	r.Totals.Cells = len(r.Cells)
	for _, c := range r.Cells {
		switch c.Status {
		case Passed:
			r.Totals.Passed++
		case Failed:
			r.Totals.Failed++
		case Skipped:
			r.Totals.Skipped++
		case Cancelled:
			r.Totals.Cancelled++
		}
		if c.Cached {
			r.Totals.Cached++
		}
	}
}
