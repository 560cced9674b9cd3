// SPDX-License-Identifier: Apache-2.0

// Package recall measures what verify finds of real NVIDIA drivers, and what it says
// about packages that carry none.
//
// [Releases] lists the driver releases that Debian carries and [Score.Judge] downloads
// one, takes each file of the driver out of it, puts it into images under every disguise
// and has each image judged. [FalseAlarms] judges packages that look like the driver and
// are none of it, and the CUDA toolkit's link-time stubs. Both print as pages in Markdown
// and have a verdict.
//
// Nothing is kept but package lists and packages, in the folder that the caller names.
package recall
