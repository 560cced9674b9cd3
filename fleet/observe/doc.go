// SPDX-License-Identifier: Apache-2.0

// Package observe runs a command inside a container and says what was seen: how it ended, what
// it printed, which libcuda it loaded, and which driver and GPUs were there. It is what cmd/observe
// is made of, a static program that a pod starts in place of the command of an unchanged image,
// so it imports the standard library, golang.org/x/sys, and packages watch and capture alone.
//
// [Run] runs a command within a time limit and returns a [Seen]. [Seen.Write] prints it as one
// line, the row, and leaves its length and checksum in the termination message of the container.
// On the other side of the cluster, [Read] takes the row out of the log and that message: whatever
// happened to the log on its way, what Read returns is what Write was given.
//
// It forwards no signal and no byte of the command, and writes no file but the termination message. Where there are
// no logs to follow, cmd/observe writes the row to a file (package fleet/docker fetches it).
package observe
