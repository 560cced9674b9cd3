// SPDX-License-Identifier: Apache-2.0

package referrer

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
)

// ErrShape is in the error of [Repository.Read] about what cannot be an [Artifact], whoever attached it: it is no
// manifest, has not one layer, or one of more than 64 MiB.
var ErrShape = errors.New("of another shape")

// Read reads an artifact that was found. It is an error if it is another one than the list
// says, is attached to something else, or is none ([ErrShape]).
func (r *Repository) Read(ctx context.Context, f Found) (Artifact, error) {
	m, err := r.manifest(ctx, f)
	if err != nil {
		return Artifact{}, err
	}
	if len(m.Layers) != 1 {
		return Artifact{}, fmt.Errorf("%s@%s: %w: %d layers, not one", r.repo, f.Digest, ErrShape, len(m.Layers))
	}
	layer := m.Layers[0]
	if layer.Size < 0 || layer.Size > maxData {
		return Artifact{}, fmt.Errorf("%s@%s: %w: its layer has %d bytes, more than %d", r.repo, f.Digest, ErrShape, layer.Size, maxData)
	}
	data, err := r.blob(ctx, layer)
	if err == nil && int64(len(data)) != layer.Size {
		err = fmt.Errorf("%s@%s: its layer has %d bytes, not %d", r.repo, f.Digest, len(data), layer.Size)
	}
	if err != nil {
		return Artifact{}, err
	}
	return Artifact{Type: typeOf(m), MediaType: string(layer.MediaType), Data: data, Annotations: m.Annotations}, nil
}

// manifest reads the manifest of an artifact.
func (r *Repository) manifest(ctx context.Context, f Found) (*v1.Manifest, error) {
	d, err := f.descriptor()
	if err != nil {
		return nil, err
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s@%s: %w: %s", r.repo, f.Digest, errForeign, fmt.Sprintf(format, args...))
	}
	if d.Size > maxDocument || d.MediaType != types.OCIManifestSchema1 {
		return nil, fmt.Errorf("%s@%s: %w: a %.100q of %d bytes, not a manifest of %d at most", r.repo, f.Digest, ErrShape, d.MediaType, d.Size, maxDocument)
	}
	raw, _, err := r.Manifest(ctx, d.Digest)
	if err != nil {
		return nil, err
	}
	m, err := image.ParseManifest(raw, d.MediaType)
	switch {
	case err != nil:
		return nil, wrong("%v", err)
	case int64(len(raw)) != d.Size:
		return nil, wrong("it has %d bytes, not %d", len(raw), d.Size)
	case f.Subject != "" && (m.Subject == nil || m.Subject.Digest.String() != f.Subject):
		return nil, wrong("it is not attached to %s", f.Subject)
	}
	return m, nil
}

// typeOf is the type of an artifact.
func typeOf(m *v1.Manifest) string { return cmp.Or(m.ArtifactType, string(m.Config.MediaType)) }
