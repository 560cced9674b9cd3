// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/files"
)

// maxArchiveEntries bounds the files of an archive; a saved image has a few a layer.
const maxArchiveEntries = 1_000_000

// tarArchive is a tar file whose members can be opened in any order: they are
// indexed once, so that n layers do not cost n passes.
type tarArchive struct {
	file    *os.File
	members map[string]member
}

// member is n bytes at off, or a link to another member.
type member struct {
	off, n int64
	link   string
	twice  bool // there are others of the name: who unpacks takes the last, who searches the first
}

func openArchive(name string) (*tarArchive, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	a := &tarArchive{file: f, members: map[string]member{}}
	if err := a.index(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return a, nil
}

// index relies on tar.Reader reading no further than the header it returns.
func (a *tarArchive) index() error {
	r := tar.NewReader(a.file)
	last := "" // the member whose content is skipped on the way to the next header
	for range maxArchiveEntries {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) && last != "" {
			return fmt.Errorf("%s is truncated: it ends in or after %s", a.file.Name(), last)
		}
		if err != nil {
			return fmt.Errorf("%s is not a tar archive (a compressed one must be decompressed first): %w", a.file.Name(), err)
		}
		off, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		last = name
		switch h.Typeflag {
		case tar.TypeReg:
			a.add(name, member{off: off, n: h.Size})
		case tar.TypeSymlink:
			a.add(name, member{link: path.Join(path.Dir(name), h.Linkname)}) //nolint:gosec // a key of this map, never a path on disk
		case tar.TypeLink:
			a.add(name, member{link: path.Clean(h.Linkname)})
		}
	}
	return fmt.Errorf("archive has more than %d entries", maxArchiveEntries)
}

func (a *tarArchive) add(name string, m member) {
	before, ok := a.members[name]
	m.twice = before.twice || ok && !a.same(before, m)
	a.members[name] = m
}

// same reports whether two members have the same content.
func (a *tarArchive) same(x, y member) bool {
	if x.link != "" || y.link != "" || x.n != y.n {
		return x.link == y.link && x.n == y.n
	}
	var sums [2]v1.Hash
	for i, m := range []member{x, y} {
		sum, _, err := v1.SHA256(io.NewSectionReader(a.file, m.off, m.n))
		if err != nil {
			return false
		}
		sums[i] = sum
	}
	return sums[0] == sums[1]
}

// find follows links, a few.
func (a *tarArchive) find(name string) (member, error) {
	for range 8 {
		m, ok := a.members[name]
		if !ok {
			break
		}
		if m.twice {
			return member{}, fmt.Errorf("%s is in the archive twice, and tools differ in which they take", name)
		}
		if m.link == "" {
			return m, nil
		}
		name = m.link
	}
	return member{}, fmt.Errorf("%s in the archive: %w", name, fs.ErrNotExist)
}

func (a *tarArchive) open(name string) (io.ReadCloser, error) {
	m, err := a.find(path.Clean(name))
	if err != nil {
		return nil, err
	}
	return sectionFile{io.NewSectionReader(a.file, m.off, m.n)}, nil
}

// sectionFile is a member as a file of its own.
type sectionFile struct{ *io.SectionReader }

// Close implements io.Closer; the archive stays open.
func (sectionFile) Close() error { return nil }

// Close implements io.Closer.
func (a *tarArchive) Close() error { return a.file.Close() }

func openOCIArchive(rest string, opts OpenOptions) ([]Source, io.Closer, error) {
	file, tag := splitRef(rest)
	a, err := openArchive(file)
	if err != nil {
		return nil, nil, err
	}
	sources, err := readLayout(a.open, "oci-archive:"+file, tag, opts)
	return sources, a, err
}

// savedImage is one image of docker save's manifest.json.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func openDockerArchive(rest string) ([]Source, io.Closer, error) {
	file, tag := splitRef(rest)
	a, err := openArchive(file)
	if err != nil {
		return nil, nil, err
	}
	sources, err := a.savedImages("docker-archive:"+file, tag)
	return sources, a, err
}

func (a *tarArchive) savedImages(ref, tag string) ([]Source, error) {
	data, err := readAll(a.open, "manifest.json")
	if err != nil {
		return nil, fmt.Errorf("not written by docker save: %w", err)
	}
	var saved []savedImage
	if err := savedShape.decode(data, &saved); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	var sources, all []Source
	for _, s := range saved {
		src, err := a.savedImage(s)
		if err != nil {
			return nil, err
		}
		all = append(all, src)
		if tag != "" && !slices.Contains(s.RepoTags, tag[1:]) {
			continue
		}
		src.Ref = ref
		if len(s.RepoTags) > 0 {
			src.Ref += ":" + s.RepoTags[0]
		}
		sources = append(sources, src)
	}
	if len(sources) == 0 {
		return nil, noSavedImage(saved)
	}
	if tag != "" {
		var digests []string
		for _, s := range sources {
			digests = append(digests, s.Digest.String())
		}
		if err := ambiguous(tag[1:], digests); err != nil {
			return nil, err
		}
		sources = sources[:1]
	}
	return sources, a.checkTwin(all)
}

// noSavedImage says what the archive holds in place of the image that was asked for.
func noSavedImage(saved []savedImage) error {
	if len(saved) == 0 {
		return fmt.Errorf("%w: manifest.json names none", ErrNoImage)
	}
	var names []string
	for _, s := range saved {
		names = append(names, s.RepoTags...)
	}
	return &NameError{"archive", names}
}

// savedImage writes the manifest that docker save leaves out. A layer's digest is
// that of its file: docker save does not compress, so mostly it is the diff ID.
func (a *tarArchive) savedImage(s savedImage) (Source, error) {
	config, err := readAll(a.open, s.Config)
	if err != nil {
		return Source{}, err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return Source{}, err
	}
	parsed, err := ParseConfig(config)
	if err != nil {
		return Source{}, fmt.Errorf("%s: %w", s.Config, err)
	}
	if len(parsed.RootFS.DiffIDs) != len(s.Layers) {
		return Source{}, fmt.Errorf("manifest.json names %d layers, the config %d", len(s.Layers), len(parsed.RootFS.DiffIDs))
	}
	img := &blobImage{config: config, manifest: &v1.Manifest{
		SchemaVersion: 2, MediaType: types.DockerManifestSchema2,
		Config: v1.Descriptor{MediaType: types.DockerConfigJSON, Digest: digest, Size: size},
	}}
	for i, name := range s.Layers {
		desc, err := a.savedLayer(name, parsed.RootFS.DiffIDs[i])
		if err != nil {
			return Source{}, err
		}
		img.layers = append(img.layers, &blobLayer{a.open, name, desc})
		img.manifest.Layers = append(img.manifest.Layers, desc)
	}
	if img.raw, err = json.Marshal(img.manifest); err != nil {
		return Source{}, err
	}
	return savedSource(img)
}

func savedSource(core *blobImage) (Source, error) {
	img, err := newStored(core)
	if err != nil {
		return Source{}, err
	}
	digest, err := img.Digest()
	return Source{Digest: digest, Image: img}, err
}

// savedLayer describes a layer file. One that is compressed is read to learn its digest.
func (a *tarArchive) savedLayer(name string, diffID v1.Hash) (v1.Descriptor, error) {
	m, err := a.find(path.Clean(name))
	if err != nil {
		return v1.Descriptor{}, err
	}
	data := io.NewSectionReader(a.file, m.off, m.n)
	desc := v1.Descriptor{MediaType: types.DockerUncompressedLayer, Digest: diffID, Size: m.n}
	magic := make([]byte, 4)
	n, err := data.ReadAt(magic, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return v1.Descriptor{}, fmt.Errorf("%s: %w", name, err)
	}
	if isCompressed(magic[:n]) {
		desc.MediaType = types.DockerLayer
		if desc.Digest, _, err = v1.SHA256(data); err != nil {
			return v1.Descriptor{}, err
		}
	}
	return desc, nil
}

// isCompressed knows gzip and zstd, which may begin with a frame that is to be skipped.
func isCompressed(magic []byte) bool {
	skippable := len(magic) == 4 && magic[0]&0xf0 == 0x50 && string(magic[1:]) == "\x2a\x4d\x18"
	return skippable || bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) || bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd})
}
