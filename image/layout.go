// SPDX-License-Identifier: Apache-2.0

package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/internal/files"
)

// Layout is an OCI layout for reading. It takes no lock and writes nothing, so it may lie
// where nobody can write, and a run may be adding to it: the index names whole images only.
type Layout struct{ dir string }

// OpenLayout opens the layout in dir, which must have a readable index.
func OpenLayout(dir string) (*Layout, error) {
	l := &Layout{dir}
	_, err := l.Entries()
	return l, err
}

// Dir is the folder of the layout.
func (l *Layout) Dir() string { return l.dir }

// Entries returns the index's entries in their order.
func (l *Layout) Entries() ([]ocispec.Descriptor, error) {
	path := filepath.Join(l.dir, ocispec.ImageIndexFile)
	data, err := files.Read(path)
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	err = json.Unmarshal(data, &index)
	if err == nil && index.Manifests == nil {
		err = errNoIndex
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w (remove the folder to start anew)", path, err)
	}
	return index.Manifests, nil
}

// named reports whether an entry has a name: the tag, as every tool writes it, or the full
// name, which ours, containerd and BuildKit write besides and others in its place.
func named(e ocispec.Descriptor, name string) bool {
	return e.Annotations[ocispec.AnnotationRefName] == name || e.Annotations[FullNameAnnotation] == name
}

// FullName is the longest name that an entry of a layout has, "" if it has none.
func FullName(e ocispec.Descriptor) string {
	return cmp.Or(e.Annotations[FullNameAnnotation], e.Annotations[ocispec.AnnotationRefName])
}

// tagOf is the tag in a full name, whose registry may have a port.
func tagOf(fullName string) string { return fullName[strings.LastIndex(fullName, ":")+1:] }

// names are the annotations of an entry with that full name. A tag alone is none.
func names(fullName string) map[string]string {
	as := map[string]string{ocispec.AnnotationRefName: tagOf(fullName)}
	if tagOf(fullName) != fullName {
		as[FullNameAnnotation] = fullName
	}
	return as
}

// Find returns the image that has a name, which is a tag or a full name. The error matches
// [ErrNoImage] if there is none, and is an [*AmbiguousError] if there are several.
func (l *Layout) Find(name string) (ocispec.Descriptor, error) {
	entries, err := l.Entries()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	entries = slices.DeleteFunc(entries, func(e ocispec.Descriptor) bool { return !named(e, name) })
	if len(entries) == 0 {
		return ocispec.Descriptor{}, fmt.Errorf("%w: %s holds none tagged %q", ErrNoImage, l.dir, name)
	}
	var digests []string
	for _, e := range entries {
		digests = append(digests, e.Digest.String())
	}
	return entries[0], ambiguous(name, digests)
}

// Lookup returns the one image that has a name.
func (l *Layout) Lookup(name string) (ocispec.Descriptor, bool) {
	desc, err := l.Find(name)
	return desc, err == nil
}

// AmbiguousError is a name that several images have: tools differ in which they take.
type AmbiguousError struct {
	Name    string
	Digests []string // two or more, in their order
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%q names %d images: %s", e.Name, len(e.Digests), strings.Join(e.Digests, ", "))
}

// Hint is how to say which image is meant.
func (e *AmbiguousError) Hint() string {
	return "name the one that is meant by its digest, oci:DIR@sha256:...; 'cudabuild matrix' leaves one image under each tag that it builds"
}

// ambiguous returns an error if the images of a name differ.
func ambiguous(name string, digests []string) error {
	if digests = slices.Compact(slices.Sorted(slices.Values(digests))); len(digests) > 1 {
		return &AmbiguousError{name, digests}
	}
	return nil
}

// Blobs returns the descriptors of everything that an image is made of: manifest,
// config and layers, and all of an index's. The error says which blob is missing
// or has the wrong size; contents are not read except for manifests.
func (l *Layout) Blobs(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	if err := errors.Join(ctx.Err(), desc.Digest.Validate()); err != nil {
		return nil, err
	}
	info, err := os.Stat(l.blobPath(desc.Digest))
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	if info.Size() != desc.Size {
		return nil, fmt.Errorf("blob %s has %d bytes, want %d", desc.Digest, info.Size(), desc.Size)
	}
	blobs := []ocispec.Descriptor{desc}
	children, err := l.children(desc)
	if err != nil {
		return nil, err
	}
	for _, child := range children {
		more, err := l.Blobs(ctx, child)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, more...)
	}
	return blobs, nil
}

// children are the blobs that a manifest or an index names. Its digest is checked.
func (l *Layout) children(desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	if !isManifest(desc) {
		return nil, nil
	}
	data, err := l.readBlob(desc.Digest)
	if err != nil {
		return nil, err
	}
	var parts struct {
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	all := append(parts.Manifests, parts.Layers...)
	if parts.Config != nil {
		all = append(all, *parts.Config)
	}
	return all, nil
}

// isManifest reports whether a blob names others, in OCI's words or in docker's.
func isManifest(desc ocispec.Descriptor) bool {
	kind := types.MediaType(desc.MediaType)
	return kind.IsImage() || kind.IsIndex()
}

// Size returns the bytes of the distinct blobs of images, those that they share counted
// once.
func (l *Layout) Size(ctx context.Context, images ...ocispec.Descriptor) (size int64, err error) {
	seen := map[digest.Digest]bool{}
	for _, desc := range images {
		blobs, wrong := l.Blobs(ctx, desc)
		err = errors.Join(err, wrong)
		for _, blob := range blobs {
			if !seen[blob.Digest] {
				seen[blob.Digest] = true
				size += blob.Size
			}
		}
	}
	return size, err
}

// Image returns an image of the layout for reading.
func (l *Layout) Image(desc ocispec.Descriptor) (v1.Image, error) {
	hash, err := v1.NewHash(desc.Digest.String())
	if err != nil {
		return nil, err
	}
	root := layoutIndex{open: l.open}
	return root.Image(hash)
}

func (l *Layout) open(name string) (io.ReadCloser, error) {
	return files.Open(filepath.Join(l.dir, filepath.FromSlash(name)))
}

// Document reads a manifest, an index or a configuration and checks its digest.
func (l *Layout) Document(hash v1.Hash) ([]byte, error) { return readBlob(l.open, hash) }

// readBlob reads a small blob and checks its digest.
func (l *Layout) readBlob(d digest.Digest) ([]byte, error) {
	hash, err := v1.NewHash(d.String())
	if err != nil {
		return nil, err
	}
	return readBlob(l.open, hash)
}

func (l *Layout) blobPath(d digest.Digest) string { return BlobPath(l.dir, d) }

// BlobPath is the file of a blob in a folder that holds blobs as an OCI layout does.
func BlobPath(dir string, d digest.Digest) string {
	return filepath.Join(dir, ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}
