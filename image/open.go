// SPDX-License-Identifier: Apache-2.0

package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/internal/hint"
	"github.com/cudabuild/cudabuild/registry"
)

// Sentinels of [Open].
var (
	// ErrBadReference means that a reference cannot be parsed.
	ErrBadReference = hint.Usage("not an image reference", "an image is registry/repo:tag, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE")
	// ErrNoImage means that nothing stands behind a reference, or nothing for the platform.
	ErrNoImage = errors.New("no such image")
)

// errSchema1 is the error of a manifest that says nothing about platform and content
// of its image in a form that can be checked.
var errSchema1 = errors.New("a manifest of the old schema 1; pull the image and push it again with a current tool")

// Source is one image found behind a reference.
type Source struct {
	Ref      string   // the reference of this very image; opening it again finds it
	Digest   v1.Hash  // of its manifest
	Platform string   // "linux/amd64", "linux/arm64/v8"; "" if its index says nothing
	Image    v1.Image // reads lazily, with the context that Open was given
	// Index is what the reference names, where that is an index; nil of an image that stands alone.
	Index v1.ImageIndex
	// Err is why there is no Image, with OpenOptions.Partial alone.
	Err error
}

// OpenOptions tunes [Open]. The zero value takes linux on the architecture of
// this program, and the credentials of docker and podman.
type OpenOptions struct {
	// Platform is what must be had, "linux/arm64"; "" takes linux on this architecture
	// from an index, and an image that stands alone whatever its platform.
	Platform     string
	AllPlatforms bool             // every platform of an index; Platform is ignored
	Partial      bool             // with AllPlatforms: what cannot be opened of an index is a Source with an Err
	Registry     registry.Options // for references to registries
}

// Open resolves a reference in skopeo's spelling:
//
//	registry/repo:tag, registry/repo@sha256:...   a registry
//	oci:DIR[:TAG], oci:DIR@sha256:...             an OCI layout; without TAG all its images
//	oci-archive:FILE[:TAG]                        a tar of one
//	docker-archive:FILE[:REF]                     what docker save writes
//
// Of an index, one platform is chosen; an index that holds a single image is that
// image, whatever its platform, unless opts names one. There is at least one Source.
// The images are usable until the Closer, which is never nil, is closed.
//
// Errors wrap ErrBadReference, ErrNoImage, a [*NoReaderError], or are those of the file or registry.
func Open(ctx context.Context, ref string, opts OpenOptions) ([]Source, io.Closer, error) {
	transport, rest, _ := strings.Cut(ref, ":")
	var sources []Source
	var closer io.Closer = io.NopCloser(nil)
	var err error
	switch transport {
	case ociLayout:
		sources, err = openLayout(rest, opts)
	case ociArchive:
		sources, closer, err = openOCIArchive(rest, opts)
	case dockerArchive:
		sources, closer, err = openDockerArchive(rest)
	default:
		sources, err = openRemote(ctx, ref, opts)
	}
	if err != nil {
		err = explained(ref, rest, err)
	}
	if err == nil && len(sources) == 0 {
		err = ErrNoImage
	}
	if err == nil {
		err = opts.check(sources)
	}
	if err != nil {
		if closer != nil {
			_ = closer.Close()
		}
		return nil, nil, fmt.Errorf("%s: %w", ref, err)
	}
	return sources, closer, nil
}

// The transports of images that lie in files.
const (
	ociLayout     = "oci"
	ociArchive    = "oci-archive"
	dockerArchive = "docker-archive"
)

// OnDisk reports whether a reference is of an image on this machine, not in a registry.
func OnDisk(ref string) bool {
	transport, _, _ := strings.Cut(ref, ":")
	return slices.Contains([]string{ociLayout, ociArchive, dockerArchive}, transport)
}

// Split parts a reference to an image on this machine into the folder or file, and the name in it with the ":" or "@" in front,
// "" if it has none. Of any other reference the path is "".
func Split(ref string) (path, name string) {
	if !OnDisk(ref) {
		return "", ""
	}
	_, rest, _ := strings.Cut(ref, ":")
	return splitRef(rest)
}

// explained returns a better error for a file that is of none of the transports.
func explained(ref, rest string, err error) error {
	if !OnDisk(ref) {
		return err
	}
	file, _ := splitRef(rest)
	return cmp.Or(noReader(file), err)
}

func openRemote(ctx context.Context, ref string, opts OpenOptions) ([]Source, error) {
	if err := checkSpelling(ref); err != nil {
		return nil, err
	}
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrBadReference, err)
	}
	desc, err := fetch(ctx, parsed, opts.Registry)
	if err != nil {
		return nil, err
	}
	desc.MediaType = mediaTypeOf(desc.Manifest, desc.MediaType)
	if desc.MediaType.IsSchema1() {
		return nil, errSchema1
	}
	repo := parsed.Context().Name()
	if !desc.MediaType.IsIndex() {
		if _, err := ParseManifest(desc.Manifest, desc.MediaType); err != nil {
			return nil, err
		}
		img, err := desc.Image()
		return []Source{{Ref: repo + "@" + desc.Digest.String(), Digest: desc.Digest, Image: img}}, err
	}
	if _, err := ParseIndex(desc.Manifest, desc.MediaType); err != nil {
		return nil, err
	}
	index, err := desc.ImageIndex()
	if err != nil {
		return nil, err
	}
	return fromIndex(index, opts, func(d v1.Descriptor) string { return repo + "@" + d.Digest.String() })
}

// fromIndex returns the images of an index that opts asks for.
func fromIndex(index v1.ImageIndex, opts OpenOptions, ref func(v1.Descriptor) string) ([]Source, error) {
	left := maxEntries
	images, err := imagesOf(index, maxNesting, &left)
	if err != nil {
		return nil, err
	}
	if !opts.AllPlatforms { // what is not known as an image is asked for only with all
		images = slices.DeleteFunc(images, func(e indexed) bool { return !e.MediaType.IsImage() })
	}
	want := cmp.Or(opts.Platform, hostPlatform)
	chosen := images
	if !opts.AllPlatforms && len(images) > 1 {
		chosen = slices.DeleteFunc(slices.Clone(images), func(e indexed) bool { return !matches(platformOf(e.Descriptor), want) })
		chosen = chosen[:min(len(chosen), 1)]
	}
	switch {
	case len(images) == 0:
		return nil, fmt.Errorf("%w: the index names none", ErrNoImage)
	case len(chosen) == 0:
		return nil, &PlatformError{want, platformNames(images)}
	}
	var sources []Source
	for _, e := range chosen {
		img, err := e.open()
		if err != nil && !opts.Partial {
			return nil, err
		}
		sources = append(sources, Source{Ref: ref(e.Descriptor), Digest: e.Digest, Platform: platformOf(e.Descriptor), Image: img, Index: index, Err: err})
	}
	return sources, nil
}

// Bounds of an index, which may hold further ones: people have a few platforms, and
// nobody a list of lists of lists.
const (
	maxNesting = 4
	maxEntries = 1000
)

// indexed is an entry of an index, maybe one inside the index that was opened.
type indexed struct {
	v1.Descriptor

	index v1.ImageIndex
}

func (e indexed) open() (v1.Image, error) {
	if !e.MediaType.IsImage() {
		return nil, fmt.Errorf("%s of its index has media type %q, which is not known as that of an image", e.Digest, e.MediaType)
	}
	img, err := imageIn(e.index, e.Descriptor)
	if err != nil {
		return nil, err
	}
	return img, nil
}

// imagesOf returns the images of an index and of the indexes in it, in their order, with what
// may be one and is of an unknown media type. Attestations, as BuildKit marks them, are left
// out. It reads left entries at most, which it counts down.
func imagesOf(index v1.ImageIndex, depth int, left *int) ([]indexed, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var images []indexed
	for _, d := range manifest.Manifests {
		if *left--; *left < 0 {
			return nil, fmt.Errorf("an index of more than %d entries", maxEntries)
		}
		switch {
		case d.MediaType.IsIndex():
			if depth == 0 {
				return nil, fmt.Errorf("indexes inside each other, more than %d deep", maxNesting)
			}
			nested, err := indexIn(index, d)
			if err != nil {
				return nil, err
			}
			more, err := imagesOf(nested, depth-1, left)
			if err != nil {
				return nil, err
			}
			images = append(images, more...)
		case d.MediaType.IsSchema1():
			return nil, errSchema1
		case !IsAttestation(d):
			images = append(images, indexed{d, index})
		}
	}
	return images, nil
}

// IsAttestation reports whether an entry is about an image and none itself: BuildKit gives
// it a platform that no image has, and says what it is. One without the other may be an image.
func IsAttestation(d v1.Descriptor) bool {
	return platformOf(d) == "unknown/unknown" && d.Annotations["vnd.docker.reference.type"] == "attestation-manifest"
}

// imageIn returns an image of an index, and indexIn an index of one, if its document is
// as long as the index says, and of that media type.
func imageIn(index v1.ImageIndex, d v1.Descriptor) (v1.Image, error) {
	img, err := index.Image(d.Digest)
	if err != nil {
		return nil, err
	}
	raw, err := document(img, d)
	if err == nil {
		_, err = ParseManifest(raw, d.MediaType)
	}
	return img, err
}

func indexIn(index v1.ImageIndex, d v1.Descriptor) (v1.ImageIndex, error) {
	nested, err := index.ImageIndex(d.Digest)
	if err != nil {
		return nil, err
	}
	raw, err := document(nested, d)
	if err == nil {
		_, err = ParseIndex(raw, d.MediaType)
	}
	return nested, err
}

// document returns what an image or an index was read from.
func document(of interface{ RawManifest() ([]byte, error) }, d v1.Descriptor) ([]byte, error) {
	raw, err := of.RawManifest()
	if err == nil && int64(len(raw)) != d.Size {
		err = fmt.Errorf("manifest %s has %d bytes, its index says %d", d.Digest, len(raw), d.Size)
	}
	return raw, err
}

func platformNames(images []indexed) []string {
	var names []string
	for _, d := range images {
		names = append(names, platformOf(d.Descriptor))
	}
	return names
}
