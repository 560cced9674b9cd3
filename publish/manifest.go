// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/registry"
)

// manifest is an image, or an index with its images.
type manifest struct {
	raw      []byte
	desc     v1.Descriptor
	children []*manifest // of an index
	layers   []v1.Descriptor
	config   v1.Descriptor
	file     *v1.ConfigFile
}

// RawManifest and MediaType make a manifest one that can be put under a name.
func (m *manifest) RawManifest() ([]byte, error)        { return m.raw, nil }
func (m *manifest) MediaType() (types.MediaType, error) { return m.desc.MediaType, nil }

// all are the manifest and its children, which come first.
func (m *manifest) all() []*manifest { return append(append([]*manifest{}, m.children...), m) }

// images are those of all platforms.
func (m *manifest) images() []*manifest {
	if m.desc.MediaType.IsIndex() {
		return m.children
	}
	return []*manifest{m}
}

// blobs are the layers and configurations of all platforms, the lowest layer first.
func (m *manifest) blobs() (all []v1.Descriptor) {
	for _, img := range m.images() {
		all = append(append(all, img.layers...), img.config)
	}
	return all
}

// platforms are those of its images, "linux/amd64".
func (m *manifest) platforms() (all []string) {
	for _, img := range m.images() {
		p := img.file.Platform()
		same := platforms.Normalize(platforms.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
		if same.Architecture == "amd64" {
			same.Variant = "" // every image for amd64 is for some of these machines
		}
		if same.OS != "unknown" && same.OS != "" { // what buildx says about an image, as one more image
			all = append(all, platforms.Format(same))
		}
	}
	return all
}

// created is the time of its first image: the day of the package lists that it was made
// from, so that the same inputs have the same.
func (m *manifest) created() time.Time { return m.images()[0].file.Created.UTC() }

// reader reads manifests and configurations by digest.
type reader interface {
	manifest(ctx context.Context, digest v1.Hash) (raw []byte, err error)
	config(ctx context.Context, d v1.Descriptor) (raw []byte, err error)
}

// errNoImage is what stands under a digest and is not of an image.
var errNoImage = errors.New("neither an image nor an index of images")

// readImage reads a manifest and what it names, down to configurations.
func readImage(ctx context.Context, r reader, desc v1.Descriptor) (*manifest, error) {
	raw, err := r.manifest(ctx, desc.Digest)
	if err != nil {
		return nil, err
	}
	m := &manifest{raw: raw, desc: desc}
	m.desc.Size = int64(len(raw))
	switch {
	case desc.MediaType.IsIndex():
		index, err := image.ParseIndex(raw, desc.MediaType)
		if err != nil {
			return nil, err
		}
		for _, d := range index.Manifests {
			if !d.MediaType.IsImage() {
				return nil, fmt.Errorf("%s: %w", d.Digest, errNoImage)
			}
			child, err := readImage(ctx, r, d)
			if err != nil {
				return nil, err
			}
			m.children = append(m.children, child)
		}
		if len(m.children) == 0 {
			return nil, fmt.Errorf("%s: %w", desc.Digest, errNoImage)
		}
		return m, nil
	case !desc.MediaType.IsImage():
		return nil, fmt.Errorf("%s: %w", desc.Digest, errNoImage)
	}
	parsed, err := image.ParseManifest(raw, desc.MediaType)
	if err != nil {
		return nil, err
	}
	m.layers, m.config = parsed.Layers, parsed.Config
	config, err := r.config(ctx, m.config)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	m.file, err = image.ParseConfig(config)
	return m, err
}

// disk reads from a layout.
type disk struct{ layout *image.Layout }

func (d disk) manifest(_ context.Context, digest v1.Hash) ([]byte, error) {
	return d.layout.Document(digest)
}

func (d disk) config(_ context.Context, c v1.Descriptor) ([]byte, error) {
	return d.layout.Document(c.Digest)
}

// fromDisk reads a cell's image from the layout and makes sure that it is all there.
func (p *Publisher) fromDisk(ctx context.Context, cell Cell) error {
	desc, err := p.Images.Find(cell.ID)
	if err != nil {
		return err
	}
	if desc.Digest.String() != cell.Digest {
		return &NotReadyError{cell.ID, fmt.Sprintf("%s has image %s under its tag, and the record of the run has %s", p.Images.Dir(), desc.Digest, cell.Digest), "'cudabuild matrix' makes both the same"}
	}
	if _, err := p.Images.Blobs(ctx, desc); err != nil {
		return fmt.Errorf("%s: %w", p.Images.Dir(), err)
	}
	hash, err := v1.NewHash(cell.Digest)
	if err != nil {
		return err
	}
	img, err := readImage(ctx, disk{p.Images}, v1.Descriptor{MediaType: types.MediaType(desc.MediaType), Digest: hash, Size: desc.Size})
	if err != nil {
		return err
	}
	p.keep(cell.Digest, img)
	return nil
}

func (p *Publisher) keep(digest string, img *manifest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.images[digest] = img
}

// remotely reads from the repository.
type remotely struct{ p *Publisher }

func (r remotely) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	got, err := r.p.puller.Get(ctx, r.p.repo.Digest(digest.String()))
	if err != nil {
		return nil, err
	}
	return got.Manifest, nil
}

func (r remotely) config(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if d.Size > maxConfig {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", d.Digest, d.Size, maxConfig)
	}
	layer, err := r.p.puller.Layer(ctx, r.p.repo.Digest(d.Digest.String()))
	if err != nil {
		return nil, err
	}
	var raw []byte
	for attempt := 1; ; attempt++ {
		raw, err = readSmall(layer)
		if !errors.Is(err, io.ErrUnexpectedEOF) && !registry.Again(err) || attempt == attempts {
			return raw, err
		}
	}
}

// readSmall reads a blob whole; its digest is checked at its end.
func readSmall(layer v1.Layer) ([]byte, error) {
	blob, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	return io.ReadAll(io.LimitReader(blob, maxConfig))
}

const maxConfig = 4 << 20

// fromStaging reads a cell's image from where another run has staged it.
func (p *Publisher) fromStaging(ctx context.Context, cell Cell) error {
	now, err := p.current(ctx, cell.Staging)
	switch {
	case err != nil:
		return err
	case now == nil && p.hasTags(ctx, cell):
		if now, err = p.puller.Head(ctx, p.repo.Digest(cell.Digest)); err != nil {
			return err
		}
	case now == nil:
		return &NotReadyError{cell.ID, fmt.Sprintf("%s has no tag %s", p.repo, cell.Staging), fmt.Sprintf("'%s' makes it, where the images are", p.CommandTo("--stage"))}
	case now.Digest.String() != cell.Digest:
		return &NotReadyError{cell.ID, fmt.Sprintf("tag %s names %s, and the record has %s", cell.Staging, now.Digest, cell.Digest), "stage it again, and give the record of that run"}
	}
	img, err := readImage(ctx, remotely{p}, *now)
	if err != nil {
		return err
	}
	p.keep(cell.Digest, img)
	return nil
}

// hasTags reports whether all tags of a cell name its image already: then it needs no staging.
func (p *Publisher) hasTags(ctx context.Context, cell Cell) bool {
	return !slices.ContainsFunc(cell.Tags, func(t Tag) bool {
		now, err := p.current(ctx, t.Name)
		return err != nil || now == nil || now.Digest.String() != cell.Digest
	})
}

// named reads what the repository has under a digest, once for all tags that name it; nil if
// that is no image, or is gone.
func (p *Publisher) named(ctx context.Context, digest string) (*manifest, error) {
	p.mu.Lock()
	read, known := p.known[digest]
	if !known {
		read = sync.OnceValues(func() (*manifest, error) { return p.remoteImage(ctx, digest) })
		p.known[digest] = read
	}
	p.mu.Unlock()
	return read()
}

func (p *Publisher) remoteImage(ctx context.Context, digest string) (*manifest, error) {
	desc, err := p.puller.Head(ctx, p.repo.Digest(digest))
	if registry.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	img, err := readImage(ctx, remotely{p}, *desc)
	if registry.Absent(err) || errors.Is(err, errNoImage) {
		return nil, nil
	}
	return img, err
}

// current is what a tag names in the registry, nil if there is no such tag.
func (p *Publisher) current(ctx context.Context, tag string) (*v1.Descriptor, error) {
	return registry.Current(ctx, p.puller, p.repo.Tag(tag))
}

// has reports whether a repository has a blob of that size.
func (p *Publisher) has(ctx context.Context, repo name.Repository, digest string, size int64) (bool, error) {
	layer, err := p.puller.Layer(ctx, repo.Digest(digest))
	if err != nil {
		return false, err
	}
	got, err := layer.Size()
	if registry.Absent(err) {
		return false, nil
	}
	if err == nil && got >= 0 && got != size {
		err = fmt.Errorf("%s says that blob %s has %d bytes, and it has %d", repo, digest, got, size)
	}
	return err == nil, err
}
