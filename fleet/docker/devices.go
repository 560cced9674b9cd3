// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/internal/hint"
)

// kind begins the names of NVIDIA's devices in CDI specifications.
const kind = "nvidia.com/gpu="

// runtime is the name under which nvidia-ctk configures NVIDIA's runtime.
const runtime = "nvidia"

// visible tells NVIDIA's runtime which GPUs a container gets; void is that it is not concerned.
const visible = "NVIDIA_VISIBLE_DEVICES="

// give gives a container GPUs: "all", indexes or UUIDs, none of them for none. What the image says of it does not count.
func (h *Host) give(c *daemon.Container, gpus []string) error {
	if len(gpus) == 0 {
		c.Env = append(c.Env, visible+"void")
		return nil
	}
	by, err := h.by()
	if err != nil {
		return err
	}
	if by != "" {
		c.HostConfig.Runtime = by
		c.Env = append(c.Env, visible+strings.Join(gpus, ","))
		return nil
	}
	c.Env = append(c.Env, visible+"void") // the default runtime may be NVIDIA's
	var names []string
	for _, g := range gpus {
		if there := h.discovered(); len(there) > 0 && !slices.Contains(there, g) {
			return hint.New(fmt.Sprintf("%s: no device %s", h.client.Version.Name(), kind+g), "it has "+strings.Join(there, ", ")+" of "+strings.TrimSuffix(kind, "="))
		}
		names = append(names, kind+g)
	}
	c.HostConfig.DeviceRequests = []daemon.DeviceRequest{{Driver: "cdi", DeviceIDs: names}}
	return nil
}

// by is the runtime that brings GPUs, "" for CDI.
func (h *Host) by() (string, error) {
	engine := h.client.Version
	if asked := h.options.Runtime; asked != "" {
		if _, there := h.info.Runtimes[asked]; there {
			return asked, nil
		}
		todo := "on the daemon's host: nvidia-ctk runtime configure --runtime=docker, and restart docker"
		if engine.Podman() { // it takes the default in place of one that it does not know
			todo = "leave --runtime out: podman's GPUs come by CDI; on the daemon's host: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
		}
		return "", hint.New(fmt.Sprintf("%s has no runtime %q, but %s", engine.Name(), asked, strings.Join(slices.Sorted(maps.Keys(h.info.Runtimes)), ", ")), todo)
	}
	switch {
	case engine.Podman():
		return "", nil // it reads specifications, and does not list them
	case len(h.info.CDISpecDirs) > 0 && (!engine.API("1.50") || len(h.discovered()) > 0):
		return "", nil
	}
	if _, there := h.info.Runtimes[runtime]; there {
		return runtime, nil
	}
	switch {
	case len(h.info.CDISpecDirs) > 0:
		return "", hint.New(fmt.Sprintf("%s finds no device %s* in %s and has no runtime %q", engine.Name(), kind, strings.Join(h.info.CDISpecDirs, ", "), runtime),
			"on the daemon's host: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml")
	case engine.API("1.44"):
		return "", hint.New(fmt.Sprintf("%s does not look for CDI specifications and has no runtime %q", engine.Name(), runtime),
			"on the daemon's host: nvidia-ctk runtime configure --runtime=docker --cdi.enabled, and restart docker")
	}
	return "", hint.New(fmt.Sprintf("%s knows no CDI (25 does) and has no runtime %q", engine.Name(), runtime),
		"on the daemon's host: install nvidia-container-toolkit, nvidia-ctk runtime configure --runtime=docker, and restart docker")
}

// noise is what daemons put around the words of a runtime: containerd's class of the error, podman's, and podman's
// container, of which nobody knows but this program.
var noise = regexp.MustCompile(`: unknown$|: OCI [^:]*$|^preparing container [0-9a-f]+(?: for attach)?: |(?: on| in)? container [0-9a-f]{64}\b`)

// notStarted is what a daemon says of a container that it does not start, with how a CDI specification is made, if it
// is about one: podman finds out late that there is none.
func notStarted(step string, err error) error {
	text := step + ": " + container.InWords(noise.ReplaceAllString(err.Error(), ""))
	if strings.Contains(text, "CDI device") {
		return hint.New(text, "on the daemon's host: nvidia-ctk cdi list says which there are, nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml finds them")
	}
	return errors.New(text)
}

// discovered are the devices that docker has found, without their kind.
func (h *Host) discovered() (names []string) {
	for _, d := range h.info.DiscoveredDevices {
		if name, is := strings.CutPrefix(d.ID, kind); is && d.Source == "cdi" {
			names = append(names, name)
		}
	}
	return names
}

// names are what GPUs are called: by UUID, which is sure, where that is known to be understood, else by
// index, which every specification has.
func (h *Host) names(gpus []gpu.GPU) []string {
	by, err := h.by()
	var names []string
	for _, g := range gpus {
		name := strconv.Itoa(g.Index)
		if err == nil && by != "" || strings.HasPrefix(g.UUID, "MIG-") || slices.Contains(h.discovered(), g.UUID) {
			name = cmp.Or(g.UUID, name)
		}
		names = append(names, name)
	}
	return names
}
