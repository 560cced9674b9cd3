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
// manifest, has not one layer, or one of more than 24 MiB.
var ErrShape = errors.New("of another shape")

// errForeign is a manifest that cannot be read, or is attached to something else.
var errForeign = errors.New("not what the list says")

// Read reads an artifact that was found, by its digest alone. It is an error if it is attached to something else
// than the list says, or is none ([ErrShape]).
func (r *Repository) Read(ctx context.Context, f Found) (Artifact, error) {
	m, d, err := r.manifest(ctx, f)
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
	return Artifact{Type: d.ArtifactType, MediaType: string(layer.MediaType), Data: data, Annotations: m.Annotations}, nil
}

// manifest reads the manifest of an artifact, and says what a list is to say of it, which is less if the manifest
// is wrong.
func (r *Repository) manifest(ctx context.Context, f Found) (m *v1.Manifest, d v1.Descriptor, err error) {
	listed, err := f.descriptor()
	if err != nil {
		return nil, d, err
	}
	raw, mediaType, err := r.Manifest(ctx, listed.Digest)
	if err != nil {
		return nil, d, err
	}
	d = listed
	d.MediaType, d.Size = cmp.Or(mediaType, d.MediaType), int64(len(raw))
	if d.MediaType != types.OCIManifestSchema1 {
		return nil, d, fmt.Errorf("%s@%s: %w: a %.100q, not a manifest", r.repo, f.Digest, ErrShape, d.MediaType)
	}
	m, err = image.ParseManifest(raw, d.MediaType)
	if err != nil {
		return nil, d, fmt.Errorf("%s@%s: %w: %w", r.repo, f.Digest, errForeign, err)
	}
	d.ArtifactType, d.Annotations = cmp.Or(m.ArtifactType, string(m.Config.MediaType)), m.Annotations
	if f.Subject != "" && (m.Subject == nil || m.Subject.Digest.String() != f.Subject) {
		return nil, d, fmt.Errorf("%s@%s: %w: it is not attached to %s", r.repo, f.Digest, errForeign, f.Subject)
	}
	return m, d, nil
}
