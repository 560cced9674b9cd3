// SPDX-License-Identifier: Apache-2.0

// Package verify judges container images: is any piece of the NVIDIA driver in
// any layer? An image that carries one works on the machine that built it and
// breaks on the next driver.
//
// Most callers need two functions: [New] makes a [Verifier] and [Verifier.Image]
// judges one image. Findings are results; an error means that the image could not
// be read. Content that cannot be understood is a finding of rule "unreadable" and
// makes the verdict "unknown", never "pass".
//
// Every layer is streamed once, to the end of its blob: the digest and the diff ID
// are checked, the archive is walked, and each ELF file is examined through its
// dynamic section. Layers that several images share are read once by one Verifier.
// Files hidden by a later layer count: they are still shipped.
//
// The package never executes or extracts anything, allocates in proportion to what
// it was given and not to what headers claim, and states its limits in [Options].
// Archives in layers are judged by what they list, and by their content with
// Options.Nested; encoded copies are not seen through. Rules are data:
// internal/rules/*.yaml, with reason and source.
package verify
