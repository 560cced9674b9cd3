// SPDX-License-Identifier: Apache-2.0

// Command badimages derives images with one thing wrong from one that runs on a GPU, to
// see that the GPU stage says what that comes to:
//
//	badimages -layout oci-dir -from 12.4-deviceQuery-debian13 -out bad [-libcuda FILE]... [-compat FILE]... [-stub FILE] [-sm80 FILE] [-ptx FILE]
//
// It writes an OCI layout with a tag for each, FROM-WHAT: "requirement", "-arch" and
// "-brand" ask for what there is not, "empty" has a libcuda of no bytes on the library
// path, "leaked-VERSION" and "stub" a libcuda of another driver and the stub for linking
// there; "first-VERSION" and "last-VERSION" have one in a folder that the linker's
// configuration names before and after all others; "compat-VERSION" has one in the place
// of cuda-compat and names that place, "hook-VERSION" leaves that to the runtime hook;
// "sm80" and "newptx" have another program: one that was compiled for sm_80 alone, and
// one with nothing but PTX whose version is raised here. NVIDIA's files are given by the
// caller and stay on the caller's machine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/cudabuild/cudabuild/image"
)

// Folders that the images name in LD_LIBRARY_PATH.
const (
	leakDir   = "usr/local/lib/leak"
	compatDir = "usr/local/cuda/compat"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// given are the files that the caller names.
type given struct {
	libcuda, compat list
	stub, sm80, ptx string
}

func main() {
	dir := flag.String("layout", "out/images", "OCI layout with the good image")
	from := flag.String("from", "12.4-deviceQuery-debian13", "tag of the good image")
	out := flag.String("out", "bad", "folder to write")
	var files given
	flag.Var(&files.libcuda, "libcuda", "libcuda.so.VERSION of another driver (repeatable)")
	flag.Var(&files.compat, "compat", "libcuda.so.VERSION for the place of cuda-compat (repeatable)")
	flag.StringVar(&files.stub, "stub", "", "the libcuda.so for linking")
	flag.StringVar(&files.sm80, "sm80", "", "program for sm_80 alone")
	flag.StringVar(&files.ptx, "ptx", "", "program with PTX alone, not compressed")
	flag.Parse()
	if err := write(*dir, *from, *out, files); err != nil {
		fmt.Fprintln(os.Stderr, "badimages:", err)
		os.Exit(1)
	}
}

func write(dir, from, out string, files given) error {
	good, err := find(dir, from)
	if err != nil {
		return err
	}
	config, err := good.ConfigFile()
	if err != nil {
		return err
	}
	changes, err := files.changes(path.Join("usr/local/bin", config.Config.Cmd[0]))
	if err != nil {
		return err
	}
	index, err := layout.Write(out, empty.Index)
	if err != nil {
		return err
	}
	for _, c := range changes {
		img, err := c.derive(good)
		if err != nil {
			return err
		}
		tag := layout.WithAnnotations(map[string]string{ocispec.AnnotationRefName: from + "-" + c.tag})
		if err := index.AppendImage(img, tag); err != nil {
			return err
		}
	}
	return nil
}

// changes returns what is wrong with each of the images; program is the path of the
// good one's.
func (g given) changes(program string) ([]change, error) {
	leaked := func(tag, dir, name string, data []byte) change {
		return change{tag: tag, files: map[string][]byte{path.Join(dir, name): data}, env: []string{"LD_LIBRARY_PATH=/" + dir}}
	}
	all := []change{
		{tag: "requirement", env: []string{"NVIDIA_REQUIRE_CUDA=cuda>=99.0"}},
		{tag: "requirement-arch", env: []string{"NVIDIA_REQUIRE_ARCH=arch>=99.0"}},
		{tag: "requirement-brand", env: []string{"NVIDIA_REQUIRE_BRAND=brand=geforce"}},
		leaked("empty", leakDir, "libcuda.so.1", nil),
	}
	var problems []error
	read := func(file string, use func(data []byte) error) {
		if file == "" {
			return
		}
		data, err := os.ReadFile(file)
		if err == nil {
			err = use(data)
		}
		problems = append(problems, err)
	}
	library := func(file, dir string, tags ...string) {
		read(file, func(data []byte) error {
			name := filepath.Base(file)
			for _, tag := range tags {
				c := leaked(tag+strings.TrimPrefix(name, "libcuda.so."), dir, name, data)
				c.links = map[string]string{path.Join(dir, "libcuda.so.1"): name}
				c.found(tag, dir)
				all = append(all, c)
			}
			return nil
		})
	}
	for _, file := range g.libcuda {
		library(file, leakDir, "leaked-", "first-", "last-")
	}
	for _, file := range g.compat {
		library(file, compatDir, "compat-", "hook-")
	}
	read(g.stub, func(data []byte) error {
		all = append(all, leaked("stub", leakDir, "libcuda.so.1", data))
		return nil
	})
	read(g.sm80, func(data []byte) error {
		all = append(all, change{tag: "sm80", files: map[string][]byte{program: data}})
		return nil
	})
	read(g.ptx, func(data []byte) error {
		if err := raisePTX(data); err != nil {
			return fmt.Errorf("%s: %w", g.ptx, err)
		}
		all = append(all, change{tag: "newptx", files: map[string][]byte{program: data}})
		return nil
	})
	return all, errors.Join(problems...)
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
