// SPDX-License-Identifier: Apache-2.0

// Command badimages derives images that must not pass on a GPU from one that does,
// each with one thing wrong, to see that the GPU stage says what:
//
//	badimages -layout oci-dir -from 12.4-deviceQuery-debian13 -out bad [-libcuda FILE] [-stub FILE] [-sm80 FILE] [-ptx FILE]
//
// It writes an OCI layout with a tag for each: "requirement" asks for a CUDA release
// that there is not, "empty" has a libcuda of no bytes on the library path, "leaked"
// and "stub" a libcuda of another driver and the stub for linking there; "sm80" and
// "newptx" have another program: one that was compiled for sm_80 alone, and one with
// nothing but PTX whose version was raised. NVIDIA's files are given by the caller
// and stay on the caller's machine.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
)

// place is a folder that the images name in LD_LIBRARY_PATH.
const place = "usr/local/lib/leak"

func main() {
	dir := flag.String("layout", "out/images", "OCI layout with the good image")
	from := flag.String("from", "12.4-deviceQuery-debian13", "tag of the good image")
	out := flag.String("out", "bad", "folder to write")
	files := map[string]*string{}
	for _, name := range []string{"libcuda", "stub", "sm80", "ptx"} {
		files[name] = flag.String(name, "", "file for the image of that name")
	}
	flag.Parse()
	if err := write(*dir, *from, *out, files); err != nil {
		fmt.Fprintln(os.Stderr, "badimages:", err)
		os.Exit(1)
	}
}

func write(dir, from, out string, files map[string]*string) error {
	good, err := find(dir, from)
	if err != nil {
		return err
	}
	config, err := good.ConfigFile()
	if err != nil {
		return err
	}
	program := path.Join("usr/local/bin", config.Config.Cmd[0])
	index, err := layout.Write(out, empty.Index)
	if err != nil {
		return err
	}
	add := func(tag, name string, data []byte, env ...string) error {
		img, err := derive(good, tag, name, data, env)
		if err != nil {
			return err
		}
		return index.AppendImage(img, layout.WithAnnotations(map[string]string{ocispec.AnnotationRefName: tag}))
	}
	onPath := "LD_LIBRARY_PATH=/" + place
	err = errors.Join(
		add("requirement", "etc/requirement", []byte("cuda>=99.0\n"), "NVIDIA_REQUIRE_CUDA=cuda>=99.0"),
		add("empty", place+"/libcuda.so.1", nil, onPath))
	for _, bad := range []struct{ tag, file, name, env string }{
		{"leaked", *files["libcuda"], place + "/libcuda.so.1", onPath},
		{"stub", *files["stub"], place + "/libcuda.so.1", onPath},
		{"sm80", *files["sm80"], program, "SM80=1"},
		{"newptx", *files["ptx"], program, "PTX=1"},
	} {
		if bad.file == "" {
			continue
		}
		data, readErr := os.ReadFile(bad.file)
		err = errors.Join(err, readErr)
		if bad.tag == "newptx" {
			data, readErr = raisePTX(data)
			err = errors.Join(err, readErr)
		}
		err = errors.Join(err, add(bad.tag, bad.name, data, bad.env))
	}
	return err
}

// raisePTX makes the PTX in a program, which must not be compressed, that of CUDA 13.3,
// which no driver before 610 knows: in the text that the driver compiles, and in the
// header before it, where 1 and 0x101 are the kind and the version of the header and
// the minor number stands at byte 24.
func raisePTX(program []byte) ([]byte, error) {
	for minor := byte('0'); minor < '3'; minor++ {
		at := bytes.Index(program, []byte(".version 9."+string(minor)))
		header := bytes.LastIndex(program[:max(at, 0)], []byte{1, 0, 1, 1})
		if header < 0 {
			continue
		}
		program[at+len(".version 9.")], program[header+24] = '3', 3
		return program, nil
	}
	return nil, errors.New("the program for -ptx has no plain PTX of CUDA 13 (nvcc -compress-mode none)")
}

func find(dir, tag string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range manifest.Manifests {
		if d.Annotations[ocispec.AnnotationRefName] == tag {
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("%s: %w: tag %s", dir, image.ErrNoImage, tag)
}

// derive adds one file and some environment to an image.
func derive(good v1.Image, tag, name string, data []byte, env []string) (v1.Image, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(good, static.NewLayer(layer.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Config.Env = append(config.Config.Env, env...)
	config.Config.Labels[ocispec.AnnotationTitle] += "-" + tag
	return mutate.ConfigFile(img, config)
}
