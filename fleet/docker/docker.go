// SPDX-License-Identifier: Apache-2.0

// Package docker makes rows and runs images in containers of docker or podman, on this host or another.
//
// A [Host] is a host by its daemon. [Host.Look] asks, from within a container, which driver and which
// GPUs the daemon gives; [Host.Observe] runs a test beside package fleet/observe's program, which is put into
// the container, so that a row is what it is of every other engine; [Host.Attach] runs an image for
// somebody who is there. GPUs come by CDI where the daemon knows it, else by NVIDIA's runtime; a daemon that has neither is
// an error that says what to install.
//
// Images come from the registry that they are in, by digest, or by a stream from here, which is taken back at the end.
// Containers and streamed images carry a [mark]: what a client that was killed has left is found by it, and
// ended, by the next one.
package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/registry"
)

// Options say how images and programs are found.
type Options struct {
	Programs string           // folder of observe-amd64 and observe-arm64
	Registry registry.Options // its Keychain is what the daemon logs in with
	Runtime  string           // by which GPUs come, in place of what Host finds
}

// Host is a host by its daemon.
type Host struct {
	// Left is what other clients have left there, or may have, and is not removed, each with the reason.
	Left []error

	client  *daemon.Client
	info    daemon.Info
	options Options
	images  map[string]string // what the daemon calls those that it has, by the digest of their configuration
	ahead   time.Duration     // its clock of this host's
	prompt  time.Duration     // the daemon may take for a signal
	last    time.Duration     // and to remove what was made there
}

// now is the time by the daemon's clock, which all of its clients go by.
func (h *Host) now() time.Time { return time.Now().Add(h.ahead) }

// Open asks a daemon what it is, and ends what clients that were killed have left there.
func Open(ctx context.Context, endpoint daemon.Endpoint, options Options) (*Host, error) {
	client, err := daemon.Open(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	h := &Host{client: client, options: options, images: map[string]string{}, prompt: 10 * time.Second, last: 2 * time.Minute}
	if h.info, err = client.Info(ctx); err == nil {
		if there := h.info.Time(); !there.IsZero() {
			h.ahead = time.Until(there)
		}
		err = h.clear(ctx)
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	return h, nil
}

// Close takes the streamed images back, and containers whose making was broken off. A process has one host at a
// time.
func (h *Host) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.last)
	defer cancel()
	defer h.client.Close()
	refused, err := h.sweep(ctx, func(_ daemon.Listed, m mark) bool { return m.mine() })
	return errors.Join(append(refused, err)...)
}

// remove ends and removes a container, even after ctx has ended.
func (h *Host) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.last)
	defer cancel()
	if err := h.client.Remove(ctx, id); err != nil {
		return fmt.Errorf("remove container %.12s: %w", id, err)
	}
	return nil
}

// observer is the program that is put into containers.
func (h *Host) observer() ([]byte, error) {
	name := "observe-" + h.info.Arch()
	program, err := os.ReadFile(filepath.Join(h.options.Programs, name))
	if err != nil {
		return nil, hint.New(fmt.Sprintf("%s is not in %s", name, h.options.Programs), "'make tools' builds it; a release has it")
	}
	return program, nil
}
