// SPDX-License-Identifier: Apache-2.0

// Package standin stands in for what a test's Kubernetes lacks: nodes with GPUs.
//
// [NewNodesCommand] makes nodes that are labelled as GPU feature discovery labels them and run nothing: a pod that is
// bound to one is soon Running and then Succeeded, with the row and the termination message that cudabuild's observer
// would have left.
//
// Nothing here says anything of a real GPU: what it does say is the same for every image.
package standin
