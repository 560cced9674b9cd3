// SPDX-License-Identifier: Apache-2.0

package daemon

// For tests.
var (
	SSHArgs  = Endpoint.sshArgs
	Progress = progress
	Only     = only
	Start    = Endpoint.start
	InPodman = Container.podman
)
