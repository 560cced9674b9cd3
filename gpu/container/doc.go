// SPDX-License-Identifier: Apache-2.0

// Package container runs one program of an unpacked image with GPUs.
//
// [Runner.Run] observes a sample in a container that is as shut as a program on a GPU
// can bear: no capabilities, no new privileges, seccomp, no network, a read-only root,
// a time limit. [Runner.Together] observes several at once, which may share a GPU by
// [MPS]. [Runner.Attach] connects a program with somebody who is there; [Open] is what
// such a program may have besides. Two engines differ in one thing: [Direct]
// edits the OCI configuration by a CDI specification and starts runc; [Nvidia] leaves
// that to nvidia-container-runtime, as docker and containerd do, through its create
// and start.
//
// Nothing outlives a run, however it ends. All of it happens in namespaces of their
// own (internal/contain), whose first process is this program again, in [Inside]: it
// mounts a tmpfs and an overlay, starts the runtime, and watches. When the caller, or
// anything in between, is killed, the kernel ends every process and drops every mount.
// A folder and an empty cgroup can stay; the next run sweeps them away.
package container
