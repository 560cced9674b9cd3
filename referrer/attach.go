// SPDX-License-Identifier: Apache-2.0

package referrer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/registry"
)

// manifest is that of an artifact, with the keys in the specification's order: its digest is by
// what an artifact is known again.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        blob              `json:"config"`
	Layers        []blob            `json:"layers"`
	Subject       blob              `json:"subject"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// blob names something in a manifest.
type blob struct {
	MediaType types.MediaType `json:"mediaType"`
	Digest    v1.Hash         `json:"digest"`
	Size      int64           `json:"size"`
}

// emptyConfig is the configuration of all artifacts.
var emptyConfig = []byte("{}")

// describe returns the name of data.
func describe(mediaType types.MediaType, data []byte) blob {
	digest, size, _ := v1.SHA256(bytes.NewReader(data)) // nothing fails in memory
	return blob{mediaType, digest, size}
}

// Manifest returns the manifest of an artifact that is attached to subject, with what a list
// says of it. The same artifact has the same.
func (a Artifact) Manifest(subject v1.Descriptor) (raw []byte, d v1.Descriptor) {
	raw, _ = json.Marshal(manifest{ // there is nothing in it that fails
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: a.Type, Annotations: a.Annotations,
		Config: describe(emptyType, emptyConfig), Layers: []blob{describe(types.MediaType(a.MediaType), a.Data)},
		Subject: blob{subject.MediaType, subject.Digest, subject.Size},
	})
	itself := describe(types.OCIManifestSchema1, raw)
	return raw, v1.Descriptor{MediaType: itself.MediaType, Digest: itself.Digest, Size: itself.Size, ArtifactType: a.Type, Annotations: a.Annotations}
}

// Attach attaches an artifact to subject, which need not be there, and returns the digest of the
// artifact's manifest; added is false if it was attached already. What a list says wrong of it is put right. It is a [RefusedError] if the
// registry takes no such thing.
func (r *Repository) Attach(ctx context.Context, subject v1.Descriptor, a Artifact) (digest v1.Hash, added bool, err error) {
	raw, d := a.Manifest(subject)
	added, err = r.Add(ctx, subject.Digest, d, raw, func() error {
		if err := r.pusher.Upload(ctx, r.repo, static.NewLayer(emptyConfig, emptyType)); err != nil {
			return err
		}
		return r.pusher.Upload(ctx, r.repo, static.NewLayer(a.Data, types.MediaType(a.MediaType)))
	})
	return d.Digest, added, err
}

// Add attaches the manifest of an artifact, to the byte, as [Repository.Attach] does: blobs is called before, to bring
// what it names and is not there. The descriptor is what a list says of it.
func (r *Repository) Add(ctx context.Context, subject v1.Hash, d v1.Descriptor, raw []byte, blobs func() error) (added bool, err error) {
	return r.add(ctx, subject, []Raw{{d, raw}}, blobs)
}

// Raw is the manifest of an artifact, to the byte.
type Raw struct {
	Descriptor v1.Descriptor // as a list has it
	Bytes      []byte
}

// AddAll attaches artifacts, as [Repository.Add] does one; the repository has what they name. A list under the tag is
// written once for all of them.
func (r *Repository) AddAll(ctx context.Context, subject v1.Hash, artifacts []Raw) error {
	_, err := r.add(ctx, subject, artifacts, func() error { return nil })
	return err
}

func (r *Repository) add(ctx context.Context, subject v1.Hash, artifacts []Raw, blobs func() error) (added bool, err error) {
	mu, _ := r.writers.LoadOrStore(subject, &sync.Mutex{})
	mu.(*sync.Mutex).Lock()
	defer mu.(*sync.Mutex).Unlock()
	l, err := r.list(ctx, subject)
	if err != nil {
		return false, r.refused(err)
	}
	if err := blobs(); err != nil {
		return false, fmt.Errorf("attach to %s@%s: %w", r.repo, subject, err)
	}
	var missing []Raw
	var entries []v1.Descriptor
	for _, a := range artifacts {
		there := false
		if l.has(a.Descriptor.Digest) {
			_, _, err := r.Manifest(ctx, a.Descriptor.Digest)
			if registry.Unread(err) {
				return false, err
			}
			there = err == nil
		}
		if there && l.lists(a.Descriptor) {
			continue
		}
		entries = append(entries, a.Descriptor)
		if !there {
			missing = append(missing, a)
		}
	}
	if len(entries) == 0 {
		return false, nil
	}
	err = registry.Each(ctx, len(missing), func(ctx context.Context, i int) error {
		d := missing[i].Descriptor
		return r.put(ctx, d.Digest.String(), d.MediaType, missing[i].Bytes)
	})
	if err == nil {
		err = r.enlist(ctx, subject, entries)
	}
	if err != nil {
		return false, fmt.Errorf("attach to %s@%s: %w", r.repo, subject, r.refused(err))
	}
	return len(missing) > 0, nil
}

// rounds is how often a list is written that others write too.
const rounds = 8

// longestRound bounds the pause after a list was written.
const longestRound = 2 * time.Second

// enlist makes sure that artifacts are listed: a registry with the API lists them itself, maybe
// a little later; where there is none, the list under the tag is written, and read again.
func (r *Repository) enlist(ctx context.Context, subject v1.Hash, artifacts []v1.Descriptor) error {
	for round := range rounds {
		begun := time.Now()
		l, err := r.list(ctx, subject)
		if err != nil {
			return err
		}
		lacks := l.lacks(artifacts)
		if len(lacks) == 0 {
			return nil
		}
		if !l.api {
			list, err := l.with(lacks)
			if err != nil {
				return err
			}
			if len(list) > maxDocument {
				return &NotListError{r.repo.Name(), Tag(subject), "a list that is full"}
			}
			if err := r.put(ctx, Tag(subject), types.OCIImageIndex, list); err != nil && !registry.Again(err) {
				return err
			}
		}
		if err := apart(ctx, begun, round); err != nil {
			return err
		}
	}
	l, err := r.list(ctx, subject)
	if err != nil {
		return err
	}
	if lacks := l.lacks(artifacts); len(lacks) > 0 {
		return fmt.Errorf("the registry has %s and does not list it, or others write the list all the time", lacks[0].Digest)
	}
	return nil
}

// apart pauses after a round that wrote a list: who read the list when we did has written theirs over ours by then.
func apart(ctx context.Context, begun time.Time, round int) error {
	pause := time.Since(begun) * time.Duration(round+2)
	pause = min(pause+rand.N(pause), longestRound) //nolint:gosec // not a secret: it keeps clients apart
	return registry.Sleep(ctx, pause)
}

// Save notes all that is attached to subject, and returns what attaches it again where it is gone, as long
// as the registry has its blobs.
func (r *Repository) Save(ctx context.Context, subject v1.Hash) (again func(context.Context) error, err error) {
	list, err := r.List(ctx, subject)
	if err != nil && !errors.As(err, new(*NotListError)) {
		return nil, err
	}
	var artifacts []Raw
	for _, f := range list {
		d, err := f.descriptor()
		if err != nil { // what names nothing
			continue
		}
		raw, _, err := r.Manifest(ctx, d.Digest)
		switch {
		case err == nil:
			artifacts = append(artifacts, Raw{d, raw})
		case registry.Again(err) || ctx.Err() != nil: // what else cannot be read is lost already
			return nil, err
		}
	}
	return func(ctx context.Context) error {
		if len(artifacts) == 0 {
			return nil
		}
		return r.AddAll(ctx, subject, artifacts)
	}, nil
}
