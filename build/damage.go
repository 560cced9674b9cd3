// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/opencontainers/go-digest"

	"github.com/cudabuild/cudabuild/image"
)

// repair drops blobs that were damaged since an earlier run made them: the cells that
// need one are then built again. A blob of ours and the engine's may be one file with
// two names. The engine would hand out the damage as often as it is asked, so it
// forgets what it knows and builds anew.
func (r *run) repair(ctx context.Context) error {
	damaged, err := r.Images.DropDamaged(ctx)
	forget := false
	for _, d := range damaged {
		r.Log.Warn("a blob was damaged and is dropped; the images that need it are built again", "blob", d)
		bad, badErr := r.damagedInEngine(ctx, d)
		forget, err = forget || bad, errors.Join(err, badErr)
	}
	if forget {
		err = errors.Join(err, r.Engine.Forget())
	}
	if err != nil {
		return fmt.Errorf("looking for damaged blobs: %w", err)
	}
	return nil
}

func (r *run) damagedInEngine(ctx context.Context, d digest.Digest) (bool, error) {
	dir := r.Engine.ContentDir()
	if dir == "" {
		return false, nil
	}
	whole, err := image.Matches(ctx, image.BlobPath(dir, d), d)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && !whole, err
}
