// SPDX-License-Identifier: Apache-2.0

package base

import (
	"archive/tar"
	"context"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// writeIndex writes sources.list and the files of lists/ as a tar whose bytes depend
// on their names and contents alone.
func writeIndex(w io.Writer, dir *os.Root, date time.Time) error {
	files, err := fs.Glob(dir.FS(), "lists/*_*")
	if err != nil {
		return err
	}
	slices.Sort(files)
	tw := tar.NewWriter(w)
	for _, name := range []string{"lists/", "lists/partial/"} {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755, ModTime: date}); err != nil {
			return err
		}
	}
	for _, name := range append(files, "sources.list") {
		if err := addFile(tw, dir, name, date); err != nil {
			return err
		}
	}
	return tw.Close()
}

func addFile(tw *tar.Writer, dir *os.Root, name string, date time.Time) error {
	f, size, err := openLeft(dir, name, maxFile)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: date}); err != nil {
		return err
	}
	_, err = io.CopyN(tw, f, size)
	return err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func commit(ctx context.Context, w content.Writer, desc ocispec.Descriptor) error {
	if err := w.Commit(ctx, desc.Size, desc.Digest); err != nil && !errdefs.IsAlreadyExists(err) {
		return err
	}
	return nil
}
