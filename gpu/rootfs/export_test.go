// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"context"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Together unpacks img as Unpack does where its layers cannot be told apart.
func (s *Store) Together(ctx context.Context, img v1.Image) (Root, error) {
	layers, err := layersOf(img)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.dir, "together")
	return Root{dir}, s.together(ctx, layers, dir)
}
