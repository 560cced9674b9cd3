// SPDX-License-Identifier: Apache-2.0

// Package install puts the image of the observer (package fleet/observe) into a registry that the
// nodes of a cluster can reach.
//
// [Find] makes the image of the programs that lie beside this one, [Image.Push] uploads it. It has
// one file for each processor, no shell and no root; the same programs make the same digest, so that a second push
// sends nothing.
package install

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/internal/hint"
)

const (
	// Program is where the image has the observer, which is also its entrypoint.
	Program = "/observe"
	// user may nothing: it is nobody on all distributions.
	user = "65534:65534"
)

// begin is the date of everything: the same programs make the same image.
var begin = time.Unix(0, 0).UTC()

// Image is the observer's, of one or several processors.
type Image struct {
	Index     v1.ImageIndex
	Platforms []string // "linux/amd64"; in the order of the index
}

// Find makes the image of the programs observe-amd64 and observe-arm64 in a folder. The error says
// how to get them if there is none.
func Find(dir string) (*Image, error) {
	img := &Image{Index: empty.Index}
	for _, arch := range []string{"amd64", "arm64"} {
		program, err := os.ReadFile(filepath.Join(dir, "observe-"+arch))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		platform := v1.Platform{OS: "linux", Architecture: arch}
		one, err := of(program, platform)
		if err != nil {
			return nil, err
		}
		img.Index = mutate.AppendManifests(img.Index, mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: &platform}})
		img.Platforms = append(img.Platforms, platform.String())
	}
	if len(img.Platforms) == 0 {
		return nil, hint.New(fmt.Sprintf("neither observe-amd64 nor observe-arm64 is in %s", dir), "'make tools' builds them; a release has them")
	}
	return img, nil
}

// of makes the image of one processor. Layers are gzip, which every container engine reads.
func of(program []byte, platform v1.Platform) (v1.Image, error) {
	archive, err := tarOf(program)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: begin}, CreatedBy: "cudabuild fleet install"},
	})
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = platform.OS, platform.Architecture, v1.Time{Time: begin}
	file.Config = v1.Config{User: user, Entrypoint: []string{Program}, WorkingDir: "/"}
	return mutate.ConfigFile(img, file)
}

func tarOf(program []byte) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: Program[1:], Size: int64(len(program)), Mode: 0o555, ModTime: begin, Format: tar.FormatUSTAR})
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	err = w.Close()
	return archive.Bytes(), err
}
