// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/verify/tree"
)

// side is one of two images.
type side struct {
	digest   string
	says     string // the index, of its platform
	manifest *v1.Manifest
	raw      []byte // the manifest
	config   *v1.ConfigFile
	steps    []step
	stepAt   []int // by layer, see compareSteps
	tree     *tree.Tree
	where    map[string]string // by step
}

// readSide reads what an image says of itself. With an error what could be read is there.
func readSide(v Version) (s side, err error) {
	s.digest, s.says = v.Digest, v.Platform
	if v.Image == nil {
		return s, v.Err
	}
	digest, err := v.Image.Digest()
	if err != nil {
		return s, err
	}
	s.digest = digest.String()
	if s.manifest, err = v.Image.Manifest(); err != nil {
		return s, err
	}
	if s.raw, err = v.Image.RawManifest(); err != nil {
		return s, err
	}
	if s.config, err = image.Config(v.Image); err != nil {
		s.config = nil
		return s, err
	}
	if len(s.config.RootFS.DiffIDs) != len(s.manifest.Layers) {
		return s, fmt.Errorf("the manifest names %d layers, the config %d", len(s.manifest.Layers), len(s.config.RootFS.DiffIDs))
	}
	s.steps = stepsOf(s.config, len(s.manifest.Layers))
	return s, nil
}

// size is 0 if the manifest cannot be read.
func (s side) size() int64 {
	if s.manifest == nil {
		return 0
	}
	n := s.manifest.Config.Size + int64(len(s.raw))
	for _, l := range s.manifest.Layers {
		n += l.Size
	}
	return n
}

// platform is the configuration's, else the index's.
func (s side) platform() string {
	if s.config == nil {
		return s.says
	}
	return strings.TrimSuffix(s.config.OS+"/"+s.config.Architecture+"/"+s.config.Variant, "/")
}

// askedAt says where recipes ask for the steps of an image.
func (v Version) askedAt(config *v1.ConfigFile) map[string]string {
	if v.Where == nil {
		return nil
	}
	return v.Where(config.Config.Labels[titleLabel])
}
