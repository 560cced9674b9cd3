// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/cudabuild/cudabuild/recipes"

// Step makes a file system out of the one below it, or compiles a sample in that one.
type Step struct {
	Name  string // "base", "compile nbody": unique in a family
	Below string // the step whose file system it begins with; "" is the root
	Title string // for people: "install base: cuda-cudart-12-4=12.4.127-1"

	// Installer is the package manager's script, which runs before Script; "" if the step
	// installs nothing. Both are run by "sh -eu" with Env, Mounts and EPOCH, the seconds
	// since 1970 that new files are to have.
	Installer string
	Script    string
	Env       map[string]string
	Mounts    []Mount
	// Layer is what a flavor adds; empty for the steps of a sample.
	Layer recipes.Layer
	// Program is the sample that the step places on the image, "" if it places none.
	Program string
	// History is what the image tells of the layer; "" if the step makes none.
	History string

	File string // of the recipe that asks for the step
	Line int    // in it, 0 if it does not say it in one place
}

// The mounts that only the steps of a sample have, beside those of package managers.
const (
	// SourceMount has the sample's source.
	SourceMount recipes.MountKind = "source"
	// ResultMount has what another step left in its OutputMount.
	ResultMount recipes.MountKind = "result"
	// OutputMount is empty and takes what the step makes.
	OutputMount recipes.MountKind = "output"
)

// Mount is a place of a step that is no part of the image.
type Mount struct {
	recipes.Mount

	Cache string // the ID of a CacheMount
	Name  string // of the file in a SourceMount, or of the step that a ResultMount is from
	Text  string // of the file in a SourceMount
}
