// SPDX-License-Identifier: Apache-2.0

// Package daemon speaks the Docker Engine API, as dockerd and podman's service do.
//
// [Find] says where the daemon of an engine listens, by the variables and contexts that the docker and
// podman programs go by; [Open] reaches it: a socket of this host, TCP with TLS, or SSH. A [Client] has
// one method for each thing that is asked of a daemon, in the words of its API; what
// a daemon refuses is an [Error] with the daemon's own words.
//
// It knows nothing of GPUs, reads of each answer what is used here, and keeps nothing. All of it takes
// what a daemon says for foreign text: answers are bounded, and no field is believed to be there.
package daemon
