// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
	"github.com/cudabuild/cudabuild/verify/internal/view"
)

// Severity is what one finding means for the verdict, as the rule has it, unless Options or a policy
// say otherwise; SeverityInfo means nothing for it.
type Severity = rules.Severity

// The severities.
const (
	SeverityFail = rules.SeverityFail
	SeverityWarn = rules.SeverityWarn
	SeverityInfo = rules.SeverityInfo
)

// Report is the judgement on one image of one platform, as `verify --json` prints it.
type Report struct {
	Ref    string `json:"ref"`
	Digest string `json:"digest"` // of the image's manifest
	// Config is the digest of the configuration, which fixes what the layers unpack to, however
	// they are compressed.
	Config   string  `json:"config_digest,omitempty"`
	Platform string  `json:"platform"` // "linux/amd64", "linux/arm64/v8"
	Verdict  Verdict `json:"verdict"`
	// Rules is the version of the rule set that judged.
	Rules string `json:"rules"`
	// Findings is never nil. It is sorted by layer, path and rule; those about the
	// image as a whole come last.
	Findings    []Finding   `json:"findings"`
	Libcuda     Libcuda     `json:"libcuda"`
	Portability Portability `json:"portability"`
	Stats       Stats       `json:"stats"`
	// Error says why the image could not be read; then the verdict is Unknown and the
	// rest is empty.
	Error string `json:"error,omitempty"`
}

// Unread is the report on an image that could not be read.
func Unread(ref string, err error) Report {
	return Report{Ref: ref, Verdict: Unknown, Rules: RulesVersion(), Findings: []Finding{}, Portability: unportable(), Error: err.Error()}
}

// Finding is one thing found in one layer.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// Path has no leading slash; it is "" where the finding is about a whole layer.
	Path string `json:"path"`
	// Layer is nil where the finding is about the image as a whole.
	Layer  *Layer `json:"layer"`
	Detail string `json:"detail"`
	// DeletedIn is the index of the layer that hides the path, nil if none does.
	// A hidden file is still shipped.
	DeletedIn *int `json:"deleted_in"`
	// Exception is the policy's exception that lowered the severity to info, nil if none did.
	Exception *Exception `json:"exception,omitempty"`
}

// Layer names one layer of the image.
type Layer struct {
	Index     int    `json:"index"` // 0 is the bottom
	Digest    string `json:"digest"`
	DiffID    string `json:"diff_id"`
	CreatedBy string `json:"created_by"` // of the history entry, "" if there is none
}

// Libcuda says which libcuda.so.1 a program in a container loads that the runtime
// hook has given the host's driver.
type Libcuda struct {
	// Winner is HostLibcuda, or the path of the image's file that is found first.
	Winner string `json:"winner"`
	Why    string `json:"why"`
	// File says what the winner is; its zero value means nothing for the host's.
	File compat.Libcuda `json:"-"`
}

// HostLibcuda is the Libcuda.Winner of an image that leaves the driver to the host.
const HostLibcuda = view.HostLibcuda

// Stats says what the judgement cost. Bytes are those of blobs as stored.
type Stats struct {
	Layers      int     `json:"layers"`
	BytesRead   int64   `json:"bytes_read"`
	BytesCached int64   `json:"bytes_cached"` // of layers that were known already
	Known       int     `json:"known"`        // layers that an earlier call had read: the same file, or blob of a repository
	Seconds     float64 `json:"seconds"`      // until the report was complete
}
