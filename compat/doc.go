// SPDX-License-Identifier: Apache-2.0

// Package compat holds what is known about which CUDA code runs on which driver
// and GPU: the order of versions, tables of releases, driver branches and
// architectures, the language of NVIDIA_REQUIRE_*, and the verdict. It is pure: no
// I/O, no state. Recipes, the verifier and the GPU stage all take their rules from
// here, so that a prediction means the same everywhere.
//
// Most callers need [Predict], the verdict for what an image needs on a host,
// [Requirements], what an image's environment asks for, and [RequireCUDA], what an
// image of ours should ask for. [Compare] is the one order of versions in cudabuild.
//
// The tables (tables.go) name their sources. What they do not know is an answer of
// its own: "unknown", never a guess.
package compat
