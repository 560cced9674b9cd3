// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cudabuild/cudabuild/registry"
)

// Installed is where the image is. It is what 'cudabuild fleet install --json' prints.
type Installed struct {
	Version   int      `json:"version"`
	Image     string   `json:"image"`     // REPOSITORY@sha256:..., for whoever starts pods
	Tag       string   `json:"tag"`       // REPOSITORY:observe-..., which keeps it in the registry
	Platforms []string `json:"platforms"` // "linux/amd64"; never null
	Pushed    bool     `json:"pushed"`    // false if it was there
}

// tries is how often a push begins that was lost on the way.
const tries = 3

// Push uploads the image, if it is not there: its tag says what it is of.
func (i *Image) Push(ctx context.Context, repo name.Repository, o registry.Options) (*Installed, error) {
	digest, err := i.Index.Digest()
	if err != nil {
		return nil, err
	}
	client, err := registry.New(ctx, repo, o)
	if err != nil {
		return nil, err
	}
	tag := repo.Tag("observe-" + digest.Hex[:12])
	done := &Installed{Version: 1, Image: repo.Digest(digest.String()).Name(), Tag: tag.Name(), Platforms: i.Platforms}
	for try := 1; ; try++ {
		if there, err := remote.Head(tag, client.Remote()...); err == nil && there.Digest == digest {
			return done, nil
		}
		done.Pushed = true
		if err := remote.WriteIndex(tag, i.Index, client.Remote()...); err == nil || try == tries || !registry.Again(err) {
			return done, err
		}
	}
}
