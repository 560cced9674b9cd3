// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/plain"
)

// Read returns the record in a file, nil if there is no such file. What is no record, or
// no regular file, is an error: nobody but us may replace it.
func Read(path string) (*Run, error) {
	data, err := files.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var run Run
	if err == nil {
		err = json.Unmarshal(data, &run)
	}
	if err == nil && run.Version != 1 {
		err = fmt.Errorf("version %d, want 1", run.Version)
	}
	if err == nil && run.Cells == nil {
		err = errors.New("it has no cells")
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not the record of a run: %w", path, err)
	}
	return &run, nil
}

// Merge writes the record of a run into a file: its cells in the place of their own
// entries, those of earlier runs as they were. The file appears whole or not at all.
func (r *Run) Merge(ctx context.Context, path string, images *image.Store) error {
	return change(path, func(earlier *Run) (*Run, error) {
		all := r.Over(earlier)
		all.Totals.SizeBytes = all.Size(ctx, images)
		return all, nil
	})
}

// change writes what a function makes of the record in a file, nil if there is none. The
// lock on the folder keeps two programs from undoing each other's change.
func change(path string, edit func(earlier *Run) (*Run, error)) error {
	lock, err := files.WaitLock(context.Background(), filepath.Dir(path)+"/") // also after an interrupt: the run is over
	if err != nil {
		return err
	}
	defer lock.Unlock()
	earlier, err := Read(path)
	if err != nil {
		return err
	}
	run, err := edit(earlier)
	if err != nil {
		return err
	}
	var data bytes.Buffer
	if err := plain.JSON(&data, run); err != nil {
		return err
	}
	return files.Write(path, data.Bytes())
}

// Size counts each blob of the images that stand under their tags once; it is 0 if one of
// them, of an earlier run, is not whole.
func (r *Run) Size(ctx context.Context, images *image.Store) int64 {
	var tagged []ocispec.Descriptor
	for _, c := range r.Cells {
		if len(c.Tags) == 0 {
			continue
		}
		if desc, ok := images.Lookup(c.Tags[0]); ok && desc.Digest.String() == c.Digest {
			tagged = append(tagged, desc)
		}
	}
	size, err := images.Size(ctx, tagged...)
	if err != nil {
		return 0
	}
	return size
}
