// SPDX-License-Identifier: Apache-2.0

// Package contents is what an image holds, as its manifest, its configuration and its own records of
// packages say: layers, packages, history, environment. [Read] reads it; files are not listed, package
// diff compares these.
package contents

import (
	"time"

	"github.com/cudabuild/cudabuild/verify"
)

// Image is what one image of one platform holds.
type Image struct {
	Digest   string    `json:"digest"` // of the manifest
	Platform string    `json:"platform"`
	Created  time.Time `json:"created"`
	Layers   []Layer   `json:"layers"`  // bottom first; never null
	History  []Step    `json:"history"` // in order, with the entries that made no layer; never null
	Config   Config    `json:"config"`
	// Packages are those of all layers that a container sees as installed, sorted by manager, name and version; never null.
	Packages []verify.Package `json:"packages"`
	// Unlisted says why there are no packages, "" if they could be read.
	Unlisted string `json:"unlisted,omitempty"`
}

// Layer is one layer's blob.
type Layer struct {
	Digest    string `json:"digest"`
	DiffID    string `json:"diff_id"`
	SizeBytes int64  `json:"size_bytes"` // compressed, as stored
	MediaType string `json:"media_type"`
}

// Step is one entry of the history.
type Step struct {
	CreatedBy string    `json:"created_by"`
	Comment   string    `json:"comment,omitempty"`
	Created   time.Time `json:"created,omitzero"`
	Layer     int       `json:"layer"` // index of the layer that it made, -1 if none
}

// Config is what containers start with.
type Config struct {
	Env        []string          `json:"env"` // "NAME=value", in the image's order; never null
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Cmd        []string          `json:"cmd,omitempty"`
	User       string            `json:"user,omitempty"`
	WorkingDir string            `json:"working_dir,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}
