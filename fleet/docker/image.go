// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/fleet/daemon"
	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/registry"
)

// streamed is how long a streamed image may stay, for hosts that cannot see whether its client lives.
const streamed = 24 * time.Hour

// bring makes sure that the daemon has an image, and returns what the daemon calls it.
func (h *Host) bring(ctx context.Context, ref string, img v1.Image) (string, error) {
	config, err := img.ConfigName()
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	if id := h.images[config.String()]; id != "" {
		return id, nil
	}
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	found, err := h.find(ctx, config, digest)
	if daemon.IsNotFound(err) {
		found, err = h.fetch(ctx, ref, img)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	if id := digestOf(found.ID); id != config.String() && id != digest.String() {
		return "", fmt.Errorf("%s: %s has another image under that name: %s, want the configuration %s", ref, h.client.Version.Name(), found.ID, config)
	}
	h.images[config.String()] = found.ID
	return found.ID, nil
}

// digestOf is an ID with its algorithm, which podman leaves out at times.
func digestOf(id string) string {
	if !strings.Contains(id, ":") {
		return "sha256:" + id
	}
	return id
}

// find finds an image that the daemon has. One that another client streams is held, so that it stays.
func (h *Host) find(ctx context.Context, config, digest v1.Hash) (found daemon.Image, err error) {
	for _, id := range []v1.Hash{config, digest} { // what an ID is of depends on the daemon's store
		if found, err = h.client.Image(ctx, id.String()); !daemon.IsNotFound(err) {
			break
		}
	}
	if err == nil && len(ours([]daemon.Image{found})) > 0 {
		tag := h.newTag()
		err = h.client.Tag(ctx, found.ID, repository, tag[len(repository)+1:])
	}
	return found, err
}

// newTag is a tag that Close takes back.
func (h *Host) newTag() string { return repository + ":" + newMark(h.now().Add(streamed)) }

// fetch has the daemon pull an image of a registry, or streams it one of this machine.
func (h *Host) fetch(ctx context.Context, ref string, img v1.Image) (daemon.Image, error) {
	if image.OnDisk(ref) {
		tag := h.newTag()
		if err := h.stream(ctx, img, tag); err != nil {
			return daemon.Image{}, err
		}
		return h.client.Image(ctx, tag)
	}
	if err := h.pull(ctx, ref, img); err != nil {
		return daemon.Image{}, err
	}
	return h.client.Image(ctx, ref)
}

// pull has the daemon pull an image, with the credentials that this program has.
func (h *Host) pull(ctx context.Context, ref string, img v1.Image) error {
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	if h.gzipOnly() && slices.ContainsFunc(manifest.Layers, isZstd) {
		return hint.New(fmt.Sprintf("%s reads no zstd layers (docker 23 does)", h.client.Version.Name()),
			"build with --compression gzip, or name the image where it lies on this machine (oci:DIR:TAG): it is streamed as gzip")
	}
	parsed, err := name.NewDigest(ref)
	if err != nil {
		return err
	}
	login, err := registry.Login(ctx, parsed.Context(), h.options.Registry)
	if err != nil {
		return err
	}
	if login != (authn.AuthConfig{}) && !h.client.Private() {
		return hint.New(fmt.Sprintf("the credentials for %s would go to %s unencrypted", parsed.Context().RegistryStr(), h.client.Endpoint), "reach the daemon by ssh:// or with TLS, or pull the image there")
	}
	err = h.client.Pull(ctx, ref, daemon.Login{
		Username: login.Username, Password: login.Password, IdentityToken: login.IdentityToken, RegistryToken: login.RegistryToken,
		ServerAddress: parsed.Context().RegistryStr(),
	})
	if err != nil {
		return hint.New(fmt.Sprintf("%s cannot pull it: %v", h.client.Version.Name(), err), "the daemon's host must reach the registry; an image in a file (oci:DIR:TAG) is streamed from here")
	}
	return nil
}

// stream sends an image to the daemon under a tag.
func (h *Host) stream(ctx context.Context, img v1.Image, tag string) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := writeArchive(ctx, w, img, tag, h.gzipOnly())
		_ = w.CloseWithError(err)
		written <- err
	}()
	err := h.client.Load(ctx, r)
	_ = r.CloseWithError(io.ErrClosedPipe)
	if failed := <-written; failed != nil && failed != io.ErrClosedPipe { //nolint:errorlint // of this very pipe: the daemon took no more
		return failed
	}
	if err != nil {
		return fmt.Errorf("%s does not load it: %w", h.client.Version.Name(), err)
	}
	return nil
}

// gzipOnly reports whether the daemon is a docker before 23, which reads gzip alone.
func (h *Host) gzipOnly() bool { return !h.client.Version.Podman() && !h.client.Version.API("1.42") }

func isZstd(layer v1.Descriptor) bool { return strings.Contains(string(layer.MediaType), "zstd") }
