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
	images  map[digest.Digest]ocispec.Descriptor
}

// memoKey covers everything an image depends on: the graph (which names roots and
// package lists by digest), the configuration, and how layers are compressed.
func memoKey(compiled *llb.Image, compression string) (digest.Digest, error) {
	data, err := json.Marshal([]any{compiled.Definition.Def, compiled.Config, compression})
	return digest.FromBytes(data), err
}

// loadMemo reads the memory at path; one that is missing or unreadable is empty.
func loadMemo(path string) (*memo, error) {
	m := &memo{path: path, images: map[digest.Digest]ocispec.Descriptor{}}
	data, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return m, err
	}
	if json.Unmarshal(data, &m.images) != nil || m.images == nil {
		m.images = map[digest.Digest]ocispec.Descriptor{}
	}
	return m, nil
}

func (m *memo) get(key digest.Digest) (ocispec.Descriptor, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	desc, ok := m.images[key]
	return desc, ok
}

func (m *memo) put(key digest.Digest, desc ocispec.Descriptor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.images[key] = desc
	m.changed = true
}

// keep forgets the images that the function does not want kept.
func (m *memo) keep(wanted func(ocispec.Descriptor) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, desc := range m.images {
		if !wanted(desc) {
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
