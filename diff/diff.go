// SPDX-License-Identifier: Apache-2.0

// Package diff says what changed between two images or two run records, and what caused each change: the
// answer to "why did the digest change?", with one cause a file.
package diff

import "time"

// Result is what differs between an old side and a new one.
type Result struct {
	Version int  `json:"version"` // 1
	Old     Side `json:"old"`
	New     Side `json:"new"`
	// Causes are the distinct causes of all changes, those of most changes first; never null.
	Causes []Cause `json:"causes"`
	// Images are those of both sides, in the order of the new side and then what only the old one has; a list of images that
	// differs though these do not say why is one of them, see [IndexPlatform]. Never null.
	Images []Image `json:"images"`
}

// Side is one of the two.
type Side struct {
	Name string    `json:"name"` // as the user wrote it
	Date time.Time `json:"date,omitzero"`
}

// Kind is what a change comes from.
type Kind string

// The kinds of causes.
const (
	Package     Kind = "package"     // another version, or a package more or less
	File        Kind = "file"        // a file has other content, is new or gone, and no package that changed owns it
	Mode        Kind = "mode"        // permissions or owner alone
	Environment Kind = "environment" // configuration: environment, labels, command, user
	Recipe      Kind = "recipe"      // a line of a recipe or of the matrix asks for something else; a step's command differs
	Source      Kind = "source"      // a sample's source
	Date        Kind = "date"        // the mirror's lists are of another day: the times of files
	Tool        Kind = "tool"        // a program that made it has another version; a blob is compressed otherwise
	Base        Kind = "base"        // the root that it starts from
	Index       Kind = "index"       // the list of the images of several platforms: its annotations, their order, attestations
	Unexplained Kind = "unexplained" // nothing that is known explains it
)

// Cause is why something changed.
type Cause struct {
	Kind    Kind   `json:"kind"`
	What    string `json:"what"`            // one line: "bash 5.2.37-2+b9 -> 5.2.37-2+b10"
	Place   string `json:"place,omitempty"` // where to look: "recipes/cuda/debian13.yaml:14"
	Changes int    `json:"changes"`         // how many changes of all images it explains
}

// State is what became of an image.
type State string

// The states.
const (
	Same     State = "same" // the same digest, or none was built; see [Image.Same]
	Changed  State = "changed"
	Added    State = "added"     // only the new side has it
	Removed  State = "removed"   // only the old side has it
	Built    State = "built"     // both sides have the cell, the old one without an image, as of one that failed
	NotBuilt State = "not built" // the other way round
	Unread   State = "unread"    // the digest differs, and its files could not be compared; the configuration is, where it can be read
)

// IndexPlatform is the Platform of what is no image but the list of those of several platforms.
const IndexPlatform = "index"

// Image is what changed of one image of one platform.
type Image struct {
	Cell     string `json:"cell"`     // its ID; "" of two images that are not of a record
	Platform string `json:"platform"` // "linux/amd64", or "index"
	State    State  `json:"state"`
	Why      string `json:"why,omitempty"` // of unread and not built; of changed, which records of packages or of runs are damaged
	// Of what is not on that side all are empty.
	OldDigest  string `json:"old_digest"`
	NewDigest  string `json:"new_digest"`
	OldSize    int64  `json:"old_size_bytes"` // 0 of an index too
	NewSize    int64  `json:"new_size_bytes"`
	OldVerdict string `json:"old_verdict"` // status of the cell and verdict of the verifier: "passed", "failed at verify"
	NewVerdict string `json:"new_verdict"`
	// Full names that one side's cell alone has, sorted; never null.
	TagsAdded   []string `json:"tags_added"`
	TagsRemoved []string `json:"tags_removed"`
	// Causes are indexes into Result.Causes of what explains that the digest changed, most files first; never null.
	Causes      []int           `json:"causes"`
	Packages    []PackageChange `json:"packages"`    // never null, as the others
	Files       []FileChange    `json:"files"`       // sorted by path
	Config      []ValueChange   `json:"config"`      // names: "env PATH", "label X", "cmd", "user"
	Predictions []Prediction    `json:"predictions"` // of pairs of driver and GPU whose answer changed
	Rows        []RowChange     `json:"rows"`
}

// PackageChange is a package in another version; "" is a side that has none.
type PackageChange struct {
	Manager string `json:"manager"`
	Name    string `json:"name"`
	Arch    string `json:"arch"`
	Old     string `json:"old"`
	New     string `json:"new"`
	Cause   int    `json:"cause"` // index into Result.Causes
}

// FileChange is one path that a container sees otherwise.
type FileChange struct {
	Path string `json:"path"` // without a leading slash
	// How is what changed: "added", "removed", "type", "content", "target", "hard link", "mode", "owner", "attributes", "time", several with commas between.
	How   string `json:"how"`
	Old   string `json:"old,omitempty"` // in words, where they are short: a mode, a size, a target
	New   string `json:"new,omitempty"`
	Cause int    `json:"cause"` // index into Result.Causes
}

// ValueChange is something of the configuration.
type ValueChange struct {
	Name  string `json:"name"`
	Old   string `json:"old"`
	New   string `json:"new"`
	Cause int    `json:"cause"`
}

// Prediction is an answer that changed.
type Prediction struct {
	Driver string `json:"driver"`
	GPU    string `json:"gpu"`
	Old    string `json:"old"` // compat's verdict, "" if there was none
	New    string `json:"new"`
	Why    string `json:"why"` // of the new one
}

// RowChange is a test whose result on a driver and GPU changed.
type RowChange struct {
	Test   string `json:"test"`
	Engine string `json:"engine"`
	Driver string `json:"driver"`
	GPU    string `json:"gpu"`
	Old    string `json:"old"` // "pass", "" if there was no row
	New    string `json:"new"`
}
