// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strings"
)

// podmanCreate is where podman makes containers by its own API. By that of docker it takes no device of a CDI
// specification before podman 5, and says nothing.
const podmanCreate = "/v4.0.0/libpod/containers/create"

// specification is a container in podman's words.
type specification struct {
	Image      string            `json:"image"`
	Entrypoint []string          `json:"entrypoint"`
	Command    []string          `json:"command"`
	Env        map[string]string `json:"env"`
	User       string            `json:"user,omitempty"`
	WorkDir    string            `json:"work_dir,omitempty"`
	MakeDir    bool              `json:"create_working_dir,omitempty"` // docker does by itself
	Labels     map[string]string `json:"labels"`
	Terminal   bool              `json:"terminal"`
	Stdin      bool              `json:"stdin"`
	Devices    []path            `json:"devices,omitempty"`
	Mounts     []mount           `json:"mounts,omitempty"`
	Net        *namespace        `json:"netns,omitempty"`
	IPC        *namespace        `json:"ipcns,omitempty"`
	CapDrop    []string          `json:"cap_drop,omitempty"`
	NoNew      bool              `json:"no_new_privileges"`
	ShmSize    int64             `json:"shm_size,omitempty"`
	Ulimits    []ulimit          `json:"r_limits,omitempty"`
	Limits     limits            `json:"resource_limits"`
	Runtime    string            `json:"oci_runtime,omitempty"`
	Log        struct {
		Driver string `json:"driver"`
	} `json:"log_configuration"`
}

type (
	path struct {
		Path string `json:"path"`
	}
	namespace struct {
		Mode string `json:"nsmode"`
	}
	mount struct {
		Type        string   `json:"type"`
		Source      string   `json:"source"`
		Destination string   `json:"destination"`
		Options     []string `json:"options"`
	}
	ulimit struct {
		Type string `json:"type"`
		Soft uint64 `json:"soft"`
		Hard uint64 `json:"hard"`
	}
	limit struct {
		Limit int64 `json:"limit"`
	}
	limits struct {
		Pids   *limit `json:"pids,omitempty"`
		Memory *limit `json:"memory,omitempty"`
	}
)

// podman is the container in podman's words.
func (c Container) podman() specification {
	host := c.HostConfig
	s := specification{
		Image: c.Image, Entrypoint: c.Entrypoint, Command: c.Cmd, Env: map[string]string{}, User: c.User, WorkDir: c.WorkingDir, MakeDir: c.WorkingDir != "", Labels: c.Labels,
		Terminal: c.Tty, Stdin: c.OpenStdin, CapDrop: host.CapDrop, NoNew: len(host.SecurityOpt) > 0, ShmSize: host.ShmSize, Runtime: host.Runtime,
	}
	s.Log.Driver = host.LogConfig.Type
	for _, e := range c.Env {
		name, value, _ := strings.Cut(e, "=")
		s.Env[name] = value
	}
	for _, request := range host.DeviceRequests {
		for _, id := range request.DeviceIDs {
			s.Devices = append(s.Devices, path{id})
		}
	}
	for target, options := range host.Tmpfs {
		s.Mounts = append(s.Mounts, mount{"tmpfs", "tmpfs", target, strings.Split(options, ",")})
	}
	for _, m := range host.Mounts {
		access := "rw"
		if m.ReadOnly {
			access = "ro"
		}
		s.Mounts = append(s.Mounts, mount{m.Type, m.Source, m.Target, []string{"rbind", access}})
	}
	if host.NetworkMode != "" {
		s.Net = &namespace{host.NetworkMode}
	}
	if host.IpcMode == "host" {
		s.ShmSize = 0 // podman refuses both, docker takes the host's /dev/shm
	}
	if host.IpcMode != "" {
		s.IPC = &namespace{host.IpcMode}
	}
	for _, l := range host.Ulimits {
		s.Ulimits = append(s.Ulimits, ulimit{l.Name, uint64(l.Soft), uint64(l.Hard)}) // -1 is RLIM_INFINITY
	}
	if host.PidsLimit != 0 {
		s.Limits.Pids = &limit{host.PidsLimit}
	}
	if host.Memory != 0 {
		s.Limits.Memory = &limit{host.Memory}
	}
	return s
}
