// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// blobImage is an image whose blobs are files.
type blobImage struct {
	open     opener
	raw      []byte
	config   []byte // nil is the blob that the manifest names
	manifest *v1.Manifest
	layers   []*blobLayer // of the manifest, in its order
}

func (i *blobImage) MediaType() (types.MediaType, error) { return i.manifest.MediaType, nil }
func (i *blobImage) RawManifest() ([]byte, error)        { return i.raw, nil }
func (i *blobImage) RawConfigFile() ([]byte, error) {
	if i.config != nil {
		return i.config, nil
	}
	return readBlob(i.open, i.manifest.Config.Digest)
}

// LayerByDigest implements partial.CompressedImageCore.
func (i *blobImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range i.layers {
		if l.desc.Digest == h {
			return l, nil
		}
	}
	return nil, fmt.Errorf("%w: no layer %s in the manifest", ErrNoImage, h)
}

// stored is an image whose layers tell which files they are. Two that say to have the same
// digest may be two files.
type stored struct {
	v1.Image

	core *blobImage
}

func newStored(core *blobImage) (v1.Image, error) {
	img, err := partial.CompressedToImage(core)
	return &stored{img, core}, err
}

// Layers implements v1.Image.
func (s *stored) Layers() ([]v1.Layer, error) {
	var layers []v1.Layer
	for _, blob := range s.core.layers {
		l, err := partial.CompressedToLayer(blob)
		if err != nil {
			return nil, err
		}
		layers = append(layers, &storedLayer{l, blob})
	}
	return layers, nil
}

// blobLayer is a layer as it lies in a file. Its digest is not checked here.
type blobLayer struct {
	open opener
	name string
	desc v1.Descriptor
}

func (l *blobLayer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l *blobLayer) Size() (int64, error)                { return l.desc.Size, nil }
func (l *blobLayer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l *blobLayer) Compressed() (io.ReadCloser, error)  { return l.open(l.name) }

type storedLayer struct {
	v1.Layer

	blob *blobLayer
}

// Copy is where the bytes of a layer lie: in a part of a file, or in a repository of a
// registry. Two layers of the same Copy and the same digest are the same bytes: whoever
// writes to a file gives it another time of change, which nobody can set. The zero value
// says nothing.
type Copy struct {
	Repository string `json:"repository,omitempty"` // "example.com/team/app"
	Device     uint64 `json:"device,omitempty"`
	Inode      uint64 `json:"inode,omitempty"`
	FileSize   int64  `json:"file_size,omitempty"`
	Modified   int64  `json:"modified,omitempty"` // nanoseconds since 1970, as is Changed
	Changed    int64  `json:"changed,omitempty"`
	Offset     int64  `json:"offset,omitempty"` // in an archive
	Size       int64  `json:"size,omitempty"`
}

// CopyOf returns where a layer of an image that [Open] or [Store.Image] gave lies now, the
// zero value for layers of others. It is an error if the file is gone.
func CopyOf(l v1.Layer) (Copy, error) {
	switch l := l.(type) {
	case *remote.MountableLayer:
		return Copy{Repository: l.Reference.Context().Name()}, nil
	case *storedLayer:
		f, err := l.blob.Compressed()
		if err != nil {
			return Copy{}, err
		}
		defer f.Close()
		return copyOfFile(f)
	}
	return Copy{}, nil
}

func copyOfFile(f io.Reader) (Copy, error) {
	file, offset, size := (*os.File)(nil), int64(0), int64(-1)
	switch f := f.(type) {
	case *os.File:
		file = f
	case sectionFile:
		inner, off, n := f.Outer()
		file, offset, size = inner.(*os.File), off, n
	}
	info, err := file.Stat()
	if err != nil {
		return Copy{}, err
	}
	return fileCopy(info, offset, size), nil
}

func fileCopy(info fs.FileInfo, offset, size int64) Copy {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Copy{}
	}
	if size < 0 {
		size = info.Size()
	}
	return Copy{
		Device: uint64(st.Dev), Inode: st.Ino, FileSize: info.Size(), //nolint:unconvert // another type elsewhere
		Modified: info.ModTime().UnixNano(), Changed: time.Unix(st.Ctim.Unix()).UnixNano(), Offset: offset, Size: size,
	}
}
