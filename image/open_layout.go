// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/files"
)

// refName is the annotation by which an OCI layout names its images
// (image-spec, annotations.md).
const refName = "org.opencontainers.image.ref.name"

// opener opens one file of a layout: "index.json", "blobs/sha256/...".
// Its error wraps fs.ErrNotExist if there is none.
type opener func(name string) (io.ReadCloser, error)

func openLayout(rest string, opts OpenOptions) ([]Source, error) {
	dir, tag := splitRef(rest)
	open := func(name string) (io.ReadCloser, error) {
		return files.Open(filepath.Join(dir, filepath.FromSlash(name)))
	}
	return readLayout(open, "oci:"+dir, tag, opts)
}

// splitRef parts DIR:TAG and DIR@sha256:HEX; the separator stays with the tag.
func splitRef(rest string) (path, tag string) {
	if dir, digest, ok := strings.Cut(rest, "@sha256:"); ok {
		return dir, "@sha256:" + digest
	}
	path, tag, ok := strings.Cut(rest, ":")
	if ok {
		tag = ":" + tag
	}
	return path, tag
}

// readLayout returns the images of a layout that tag names, all if it is "".
func readLayout(open opener, ref, tag string, opts OpenOptions) ([]Source, error) {
	data, err := readAll(open, "index.json")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("not an OCI layout: %w", err)
		}
		return nil, err
	}
	root, err := newIndex(open, data)
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	entries := root.manifest.Manifests
	digests := map[string][]string{} // by tag
	for _, d := range entries {
		digests[d.Annotations[refName]] = append(digests[d.Annotations[refName]], d.Digest.String())
	}
	delete(digests, "")
	if several := digests[strings.TrimPrefix(tag, ":")]; strings.HasPrefix(tag, ":") && ambiguous(tag[1:], several) != nil {
		return root.severally(tag[1:], ref, opts)
	}
	var sources []Source
	for _, d := range entries {
		name := "@" + d.Digest.String()
		if t := d.Annotations[refName]; t != "" && ambiguous(t, digests[t]) == nil {
			name = ":" + t
		}
		if tag != "" && tag != name && tag != "@"+d.Digest.String() {
			continue
		}
		found, err := fromDescriptor(root, d, ref+name, opts)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.TrimLeft(name, ":@"), err)
		}
		if sources = append(sources, found...); tag != "" {
			break
		}
	}
	switch {
	case len(root.manifest.Manifests) == 0:
		return nil, fmt.Errorf("%w: index.json names none", ErrNoImage)
	case len(sources) == 0:
		return nil, &NameError{"layout", slices.Sorted(maps.Keys(digests))}
	}
	return sources, nil
}

// severally returns what opts asks for of the images of one tag, which are those of an
// index if each has a platform of its own; else nobody knows which of them is meant.
func (i *layoutIndex) severally(tag, ref string, opts OpenOptions) ([]Source, error) {
	one := layoutIndex{open: i.open, manifest: &v1.IndexManifest{}}
	seen := map[string]bool{"": true}
	var digests []string
	whole := true
	for _, d := range i.manifest.Manifests {
		if d.Annotations[refName] != tag {
			continue
		}
		digests = append(digests, d.Digest.String())
		whole = whole && d.MediaType.IsImage() && !seen[platformOf(d)]
		seen[platformOf(d)] = true
		one.manifest.Manifests = append(one.manifest.Manifests, d)
	}
	if !whole {
		return nil, ambiguous(tag, digests)
	}
	sources, err := fromIndex(&one, opts, func(d v1.Descriptor) string { return ref + "@" + d.Digest.String() })
	for k := range sources {
		sources[k].Index = nil // there is no such document
	}
	return sources, err
}

// NameError is an image that is not under the name that was asked for, where there are
// others. It matches [ErrNoImage].
type NameError struct {
	Where string   // "layout" or "archive"
	Have  []string // names of the others, if they have any
}

func (e *NameError) Error() string {
	return fmt.Sprintf("%v: the %s holds: %s", ErrNoImage, e.Where, cmp.Or(strings.Join(e.Have, ", "), "nothing that has a tag"))
}

func (e *NameError) Unwrap() error { return ErrNoImage }

// Hint is how to name an image that is there.
func (e *NameError) Hint() string {
	if len(e.Have) == 0 {
		return "'cudabuild verify' judges all if the tag is left out"
	}
	return "name one of these; 'cudabuild verify' judges all if the tag is left out"
}

// fromDescriptor opens an image, or what opts asks for of an index.
func fromDescriptor(root *layoutIndex, d v1.Descriptor, ref string, opts OpenOptions) ([]Source, error) {
	if d.MediaType.IsIndex() {
		index, err := indexIn(root, d)
		if err != nil {
			return nil, err
		}
		return fromIndex(index, opts, func(v1.Descriptor) string { return ref })
	}
	img, err := imageIn(root, d)
	if err != nil {
		return nil, err
	}
	return []Source{{Ref: ref, Digest: d.Digest, Platform: platformOf(d), Image: img}}, nil
}

// errNoIndex is the error of JSON that is no index: the image-spec requires the list
// of manifests, empty or not.
var errNoIndex = errors.New("not an image index: it lists no manifests")

// layoutIndex is an index whose blobs a layout holds.
type layoutIndex struct {
	open     opener
	raw      []byte
	manifest *v1.IndexManifest
}

var _ v1.ImageIndex = (*layoutIndex)(nil)

func newIndex(open opener, raw []byte) (*layoutIndex, error) {
	manifest, err := ParseIndex(raw, "")
	if err != nil {
		return nil, err
	}
	return &layoutIndex{open, raw, manifest}, nil
}

func (i *layoutIndex) MediaType() (types.MediaType, error)         { return i.manifest.MediaType, nil }
func (i *layoutIndex) Digest() (v1.Hash, error)                    { return partial.Digest(i) }
func (i *layoutIndex) Size() (int64, error)                        { return int64(len(i.raw)), nil }
func (i *layoutIndex) IndexManifest() (*v1.IndexManifest, error)   { return i.manifest, nil }
func (i *layoutIndex) RawManifest() ([]byte, error)                { return i.raw, nil }
func (i *layoutIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) { return i.index(h) }

func (i *layoutIndex) index(h v1.Hash) (*layoutIndex, error) {
	raw, err := readBlob(i.open, h)
	if err != nil {
		return nil, err
	}
	return newIndex(i.open, raw)
}

// Image implements v1.ImageIndex.
func (i *layoutIndex) Image(h v1.Hash) (v1.Image, error) {
	raw, err := readBlob(i.open, h)
	if err != nil {
		return nil, err
	}
	manifest, err := ParseManifest(raw, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h, err)
	}
	img := &blobImage{open: i.open, raw: raw, manifest: manifest}
	for _, d := range manifest.Layers {
		img.layers = append(img.layers, &blobLayer{i.open, blobName(d.Digest), d})
	}
	return newStored(img)
}

func blobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// readBlob reads a small blob and checks its digest.
func readBlob(open opener, h v1.Hash) ([]byte, error) {
	data, err := readAll(open, blobName(h))
	if err != nil {
		return nil, err
	}
	if got, _, _ := v1.SHA256(bytes.NewReader(data)); got != h {
		return nil, fmt.Errorf("blob %s has digest %s", h, got)
	}
	return data, nil
}

// readAll reads a small file.
func readAll(open opener, name string) ([]byte, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("%s: %w", name, errTooLong)
	}
	return data, err
}
