// SPDX-License-Identifier: Apache-2.0

// Package contents is what an image holds, as its manifest, its configuration and its own records of
// packages say: layers, packages, history, environment. [Read] reads it; files are not listed, package
// diff compares these.
package contents

import "github.com/cudabuild/cudabuild/verify"

// Image is what one image of one platform holds.
type Image struct {
	Layers  []Layer // bottom first; never nil
	History []Step  // in order, with the entries that made no layer; never nil
	Config  Config
	// Packages are those of all layers that a container sees as installed, sorted by manager, name and version; never nil.
	Packages []verify.Package
	// Unlisted says why there are no packages, "" if they could be read.
	Unlisted string
}

// Layer is one layer's blob.
type Layer struct {
	Digest    string
	SizeBytes int64 // compressed, as stored
}

// Step is one entry of the history.
type Step struct {
	CreatedBy string `json:"created_by"`
	Layer     int    `json:"layer"` // index of the layer that it made, -1 if none
}

// Config is what containers start with.
type Config struct {
	Env        []string // "NAME=value", in the image's order; never nil
	Entrypoint []string
	Cmd        []string
	User       string
	WorkingDir string
	Labels     map[string]string
}
