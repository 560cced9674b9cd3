// SPDX-License-Identifier: Apache-2.0

package container

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// overlayDiff lists what a run left in the overlay's upper directory, directories aside,
// and writes it as the archive of a layer. Paths are sorted.
func overlayDiff(upper, archive string) ([]string, error) {
	f, err := os.Create(archive)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(f)
	paths := []string{}
	err = filepath.WalkDir(upper, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == upper {
			return err
		}
		path, err := filepath.Rel(upper, name)
		if err != nil {
			return err
		}
		if !d.IsDir() {
			paths = append(paths, path)
		}
		return addFile(w, name, path, d)
	})
	return paths, errors.Join(err, w.Close(), f.Close())
}

func addFile(w *tar.Writer, name, path string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket != 0 {
		return nil // tar has no word for it
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(name); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name = path
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
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
