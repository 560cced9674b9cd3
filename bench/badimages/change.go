// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// change is what makes a bad image of a good one.
type change struct {
	tag   string
	files map[string][]byte
	links map[string]string // symbolic, by path
	env   []string
}

// linkerFiles name a folder where LD_LIBRARY_PATH does not. The runtime hook's own file
// is 00-nvcr-*.conf.
var linkerFiles = map[string]string{"first-": "00-leak.conf", "last-": "zz-leak.conf"}

// found has the folder of a library found as tag says.
func (c *change) found(tag, dir string) {
	if file, ok := linkerFiles[tag]; ok {
		c.env, c.files["etc/ld.so.conf.d/"+file] = nil, []byte("/"+dir+"\n")
	} else if tag == "hook-" {
		c.env = nil
	}
}

// derive returns the good image with the change. One without files changes the
// configuration alone.
func (c change) derive(good v1.Image) (v1.Image, error) {
	img := good
	if len(c.files)+len(c.links) > 0 {
		data, err := c.archive()
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
			tarball.WithCompression(compression.ZStd), tarball.WithCompressionLevel(19), tarball.WithMediaType(types.OCILayerZStd))
		if err != nil {
			return nil, err
		}
		if img, err = mutate.AppendLayers(good, layer); err != nil {
			return nil, err
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Config.Env = append(config.Config.Env, c.env...)
	config.Config.Labels[ocispec.AnnotationTitle] += "-" + c.tag
	return mutate.ConfigFile(img, config)
}

// archive is the layer's, the same bytes for the same change.
func (c change) archive() ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(c.files[name])), Typeflag: tar.TypeReg}); err != nil {
			return nil, err
		}
		if _, err := w.Write(c.files[name]); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.links)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o777, Linkname: c.links[name], Typeflag: tar.TypeSymlink}); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), w.Close()
}
