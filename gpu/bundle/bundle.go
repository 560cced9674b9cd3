// SPDX-License-Identifier: Apache-2.0

// Package bundle packs what a GPU host needs to run samples into one file: the
// programs, the images, and a script that starts them. The host needs nothing but
// its driver. [Write] is all there is.
package bundle

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/klauspost/compress/gzip"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
)

// MaxBytes bounds a bundle, so that it stays something to mail or to carry.
const MaxBytes = 64 << 20

// Dir is the one folder in a bundle.
const Dir = "cudabuild-gpu"

// script runs the samples of the bundle's images.
const script = `#!/bin/sh
# Runs the sample images of this bundle on this host's GPUs, as root.
# Arguments are those of 'cudabuild gpu'; --help lists them.
here=$(dirname -- "$(readlink -f -- "$0")")
exec "$here/bin/cudabuild" gpu --state-dir "${CUDABUILD_STATE_DIR:-$here/state}" "$@" "oci:$here/images"
`

// Write writes a bundle of programs, by name and path, and images to file, which
// is made as [files.Create] does. It is a tar compressed with gzip.
func Write(ctx context.Context, file string, programs map[string]string, images []image.Source) (err error) {
	out, err := files.Create(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = out.Close(err) }()
	dir, err := os.MkdirTemp(out.Dir(), ".bundle-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := fill(filepath.Join(dir, Dir), programs, images); err != nil {
		return err
	}
	tmp := filepath.Join(dir, "bundle")
	size, err := pack(tmp, dir)
	if err != nil {
		return err
	}
	if size > MaxBytes {
		return fmt.Errorf("the bundle would be %.1f MB, at most %.1f are allowed: name fewer images", float64(size)/1e6, float64(MaxBytes)/1e6)
	}
	f, err := os.Open(tmp)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(out, f)
	return err
}

func fill(dir string, programs map[string]string, images []image.Source) error {
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		return err
	}
	for name, from := range programs {
		if err := copyFile(filepath.Join(dir, "bin", name), from); err != nil {
			return err
		}
	}
	index, err := layout.Write(filepath.Join(dir, "images"), empty.Index)
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, src := range images {
		called := tag(src)
		if taken[called] { // of another repository
			called = src.Digest.Hex[:12]
		}
		taken[called] = true
		name := layout.WithAnnotations(map[string]string{ocispec.AnnotationRefName: called})
		if err := index.AppendImage(src.Image, name); err != nil {
			return fmt.Errorf("%s: %w", src.Ref, err)
		}
	}
	return os.WriteFile(filepath.Join(dir, "run"), []byte(script), 0o755)
}

// tag is what the image is called in the bundle.
func tag(src image.Source) string {
	if i := strings.LastIndexAny(src.Ref, ":@/"); i >= 0 && src.Ref[i] == ':' && !strings.Contains(src.Ref[i:], "sha256") {
		return src.Ref[i+1:]
	}
	return src.Digest.Hex[:12]
}

func copyFile(to, from string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// pack writes the folder to file and returns its size. Equal content gives equal bytes.
func pack(file, dir string) (int64, error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	compressed := gzip.NewWriter(f)
	w := tar.NewWriter(compressed)
	err = filepath.WalkDir(filepath.Join(dir, Dir), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return add(w, dir, name, d)
	})
	if err := errors.Join(err, w.Close(), compressed.Close()); err != nil {
		return 0, err
	}
	return f.Seek(0, io.SeekEnd)
}

func add(w *tar.Writer, dir, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	path, err := filepath.Rel(dir, name)
	if err != nil {
		return err
	}
	h.Name, h.ModTime, h.Uname, h.Gname = path, time.Unix(0, 0), "", ""
	if d.IsDir() {
		h.Name += "/"
	}
	if err := w.WriteHeader(h); err != nil || d.IsDir() {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
