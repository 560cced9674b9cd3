// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net/http"
	"time"
)

// Info is what a daemon says of its host.
type Info struct {
	Name            string // of the host
	OperatingSystem string
	KernelVersion   string
	CgroupVersion   string // "1" or "2"
	Architecture    string // "x86_64" of docker, "amd64" of podman
	Runtimes        map[string]struct{}
	SystemTime      string // RFC 3339
	// CDISpecDirs are where docker looks for CDI specifications; none where it does not. Podman looks
	// and does not say so.
	CDISpecDirs []string
	// DiscoveredDevices are those that docker has found there, from API 1.50 on.
	DiscoveredDevices []struct{ Source, ID string }
}

// Info asks for it.
func (c *Client) Info(ctx context.Context) (info Info, err error) {
	return info, c.ask(ctx, http.MethodGet, "/info", nil, nil, &info)
}

// Arch is the processor as Go has it.
func (i Info) Arch() string {
	switch i.Architecture {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return i.Architecture
}

// Time is the host's at the time of the answer, zero if the daemon does not say.
func (i Info) Time() time.Time {
	t, _ := time.Parse(time.RFC3339Nano, i.SystemTime)
	return t
}
