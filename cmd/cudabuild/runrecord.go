// SPDX-License-Identifier: Apache-2.0

package main

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
	"github.com/cudabuild/cudabuild/record"
)

func (w *workspace) recordPath() string { return filepath.Join(w.out, "run.json") }

// earlier returns the record that the folder has, nil if it has none. What is no
// record is an error, because nobody but us may replace it.
func (w *workspace) earlier() (*record.Run, error) {
	data, err := image.ReadFile(w.recordPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var run record.Run
	if err == nil {
		err = json.Unmarshal(data, &run)
	}
	if err == nil && run.Version != 1 {
		err = fmt.Errorf("version %d, want 1", run.Version)
	}
	if err != nil {
		return nil, &exitError{
			code: exitUnknown,
			err:  fmt.Errorf("%s is not the record of a run: %w", w.recordPath(), err),
			hint: "the record of this run goes there: move it away, or name another folder with --out",
		}
	}
	return &run, nil
}

// keep writes the record of the folder: the cells of this run in the place of their
// own entries, those of earlier runs as they were.
func (w *workspace) keep(ctx context.Context, images *image.Store, result *record.Run) error {
	earlier, err := w.earlier()
	if err != nil {
		return err
	}
	all := result.Over(earlier)
	if all.Totals.SizeBytes, err = totalSize(ctx, images, all); err != nil {
		all.Totals.SizeBytes = 0 // an image of an earlier run is not whole
	}
	var data bytes.Buffer
	if err := printJSON(&data, all); err != nil {
		return err
	}
	return image.WriteFile(w.recordPath(), data.Bytes())
}

// totalSize counts each blob of the images that stand under their tags once.
func totalSize(ctx context.Context, images *image.Store, all *record.Run) (int64, error) {
	var tagged []ocispec.Descriptor
	for _, c := range all.Cells {
		if len(c.Tags) == 0 {
			continue
		}
		if desc, ok := images.Lookup(c.Tags[0]); ok && desc.Digest.String() == c.Digest {
			tagged = append(tagged, desc)
		}
	}
	return images.Size(ctx, tagged...)
}
