// SPDX-License-Identifier: Apache-2.0

// Package place turns a prediction into the words in which Kubernetes places pods: on which
// nodes an image runs, as a node affinity over the labels of NVIDIA's GPU feature discovery, or
// as a CEL selector over the attributes that NVIDIA's DRA driver publishes. It is pure: it talks to no
// cluster and reads no image.
//
// Most callers need [Affinity] or [CEL], with the regions of [compat.Where]. [Labels] is what a
// host's labels would be, [Host] what a node's labels tell of it.
//
// Both select exactly the hosts of the regions. Kubernetes' own matcher and its own CEL are the judges
// of a test. There is one gap, and it is not here: labels do not say a GPU's brand (see [Affinity]).
package place
