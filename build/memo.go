// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/llb"
	"github.com/cudabuild/cudabuild/record"
)

// memoFile is the memo beside the images that it speaks of: several folders of images
// may share one state directory.
const memoFile = ".builds.json"

// memo remembers which image each set of inputs gave, so that an unchanged cell is
// known without a daemon.
type memo struct {
	path string

	mu      sync.Mutex
	changed bool
	images  map[digest.Digest]remembered
}

// remembered is an image and what it was made of, which an earlier cudabuild did not note: nil.
type remembered struct {
	ocispec.Descriptor

	Made *record.Made `json:"made,omitempty"`
}

// memoKey covers everything an image depends on: the graph (which names roots and
// package lists by digest), the configuration, and how layers are compressed.
func memoKey(compiled *llb.Image, compression string) (digest.Digest, error) {
	data, err := json.Marshal([]any{compiled.Definition.Def, compiled.Config, compression})
	return digest.FromBytes(data), err
}

// loadMemo reads the memory at path; one that is missing or unreadable is empty.
func loadMemo(path string) (*memo, error) {
	m := &memo{path: path, images: map[digest.Digest]remembered{}}
	data, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return m, err
	}
	if json.Unmarshal(data, &m.images) != nil || m.images == nil {
		m.images = map[digest.Digest]remembered{}
	}
	return m, nil
}

func (m *memo) get(key digest.Digest) (remembered, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	image, ok := m.images[key]
	return image, ok
}

func (m *memo) put(key digest.Digest, image remembered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.images[key] = image
	m.changed = true
}

// keep forgets the images that the function does not want kept.
func (m *memo) keep(wanted func(ocispec.Descriptor) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, image := range m.images {
		if !wanted(image.Descriptor) {
			delete(m.images, key)
			m.changed = true
		}
	}
}

func (m *memo) save() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.changed {
		return nil
	}
	data, err := json.MarshalIndent(m.images, "", " ")
	if err != nil {
		return err
	}
	return files.Write(m.path, data)
}
