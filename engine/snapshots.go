// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
)

// dropUnknownSnapshots removes folders of snapshots that the snapshotter's database does
// not know: those of a daemon that was killed after it had given one its name and before it
// had noted that. The next one would get the same name, and fail for good.
func dropUnknownSnapshots(root string) (err error) {
	dir := filepath.Join(root, "runc-overlayfs", "snapshots")
	folders, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	known, err := snapshots(filepath.Join(dir, "metadata.db"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if _, ok := known[folder.Name()]; !ok {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, "snapshots", folder.Name())))
		}
	}
	return err
}

// snapshots are those that a database knows, by the names of their folders.
func snapshots(database string) (known map[string]string, err error) {
	store, err := storage.NewMetaStore(database)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctx, tx, err := store.TransactionContext(context.Background(), false)
	if err != nil {
		return nil, err
	}
	known, err = storage.IDMap(ctx)
	if errdefs.IsNotFound(err) { // none yet
		err = nil
	}
	return known, errors.Join(err, tx.Rollback())
}
