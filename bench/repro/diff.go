// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"github.com/cudabuild/cudabuild/image"
)

// firstDifference names the lowest layer, and in it the first file, in which the
// images of that name differ between the two folders.
func firstDifference(outs [2]string, names ...string) (string, error) {
	var layers [2][]v1.Layer
	for i, out := range outs {
		_, tag, _ := strings.Cut(names[i], ":")
		sources, closer, err := image.Open(context.Background(), "oci:"+filepath.Join(out, "images")+":"+tag, image.OpenOptions{})
		if err != nil {
			return "", err
		}
		defer closer.Close()
		if layers[i], err = sources[0].Image.Layers(); err != nil {
			return "", err
		}
	}
	if len(layers[0]) != len(layers[1]) {
		return fmt.Sprintf("%d and %d layers", len(layers[0]), len(layers[1])), nil
	}
	for i := range layers[0] {
		a, errA := layers[0][i].Digest()
		b, errB := layers[1][i].Digest()
		if err := errors.Join(errA, errB); err != nil {
			return "", err
		}
		if a != b {
			where, err := firstFile(layers[0][i], layers[1][i])
			return fmt.Sprintf("layer %d, %s", i, where), err
		}
	}
	return "the configuration", nil
}

// firstFile walks two layers side by side.
func firstFile(a, b v1.Layer) (string, error) {
	ta, closeA, err := open(a)
	if err != nil {
		return "", err
	}
	defer closeA()
	tb, closeB, err := open(b)
	if err != nil {
		return "", err
	}
	defer closeB()
	for {
		ea, errA := next(ta)
		eb, errB := next(tb)
		switch {
		case errors.Is(errA, io.EOF) && errors.Is(errB, io.EOF):
			return "the compressed bytes (all files are the same)", nil
		case errA != nil || errB != nil:
			return fmt.Sprintf("the end: %v, %v", errA, errB), nil
		case ea != eb:
			return fmt.Sprintf("%s | %s", ea, eb), nil
		}
	}
}

func open(layer v1.Layer) (*tar.Reader, func(), error) {
	r, err := layer.Compressed()
	if err != nil {
		return nil, nil, err
	}
	zr, err := zstd.NewReader(r)
	if err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	return tar.NewReader(zr), func() { zr.Close(); r.Close() }, nil
}

// next describes the next entry by all that a layer's bytes depend on.
func next(t *tar.Reader) (string, error) {
	h, err := t.Next()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, t); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s type=%c mode=%o owner=%d:%d size=%d link=%q time=%s pax=%v sha256=%.12x",
		h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.Size, h.Linkname, h.ModTime.UTC(), h.PAXRecords, sum.Sum(nil)), nil
}
