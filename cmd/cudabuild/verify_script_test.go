// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// mkImage is the scripts' command `mkimage DIR [REPOSITORY:]KIND...`: an OCI layout with one
// image for each KIND, tagged with it as cuda:KIND; multi is an index of two, wide one of three, and noted is
// multi with an annotation.
func mkImage() {
	path, err := layout.Write(os.Args[1], empty.Index)
	for _, name := range os.Args[2:] {
		colon := strings.LastIndexByte(name, ':')
		repository, kind := cmp.Or(name[:max(colon, 0)], "cuda"), name[colon+1:]
		var layers []*imagetest.Blob
		for _, files := range scriptImages[kind] {
			layers = append(layers, imagetest.Layer(imagetest.Zstd, imagetest.Files(files)))
		}
		if kind == "broken" {
			data := []byte("this is no archive, whatever the manifest says about it; it is long enough to be read as one, too")
			layers = append(layers, &imagetest.Blob{Data: data, Want: imagetest.Digest(data), Diff: imagetest.Digest(data), Type: "application/vnd.oci.image.layer.v1.tar"})
		}
		tag := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": kind, image.FullNameAnnotation: repository + ":" + kind})
		img := imagetest.WithEnv(imagetest.New(layers...), scriptEnv[kind]...)
		if archs := scriptArchs[kind]; archs != nil {
			index := indexOf(img, archs...)
			if kind == "noted" {
				index = mutate.Annotations(index, map[string]string{"org.opencontainers.image.url": "https://example.com"}).(v1.ImageIndex)
			}
			err = errors.Join(err, path.AppendIndex(index, tag))
			continue
		}
		err = errors.Join(err, path.AppendImage(img, tag))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// scriptArchs are the architectures of kinds that are indexes.
var scriptArchs = map[string][]string{"multi": {"amd64", "arm64"}, "noted": {"amd64", "arm64"}, "wide": {"amd64", "arm64", "s390x"}}

// indexOf is an index of the image for several architectures.
func indexOf(img v1.Image, archs ...string) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range archs {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: imagetest.ForArch(img, arch), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return index
}

var scriptImages = map[string][]map[string]imagetest.Entry{
	"clean": {{"etc/os-release": {Data: "ID=debian\n"}}},
	"multi": {{"etc/os-release": {Data: "ID=debian\n"}}},
	"noted": {{"etc/os-release": {Data: "ID=debian\n"}}},
	"wide":  {{"etc/os-release": {Data: "ID=debian\n"}}},
	"leak": {
		{"etc/os-release": {Data: "ID=debian\n"}},
		{"usr/lib/libnvidia-ml.so.550.54.15": {Data: "x"}, "usr/bin/nvidia-smi": {Mode: 0o755}},
		{"usr/lib/.wh.libnvidia-ml.so.550.54.15": {}},
	},
	"linked": {
		{"lib": {Symlink: "usr/lib"}, "lib64": {Symlink: "lib"}, "usr/lib/x": {Data: "x"}},
		{"lib/x": {Data: "y"}},
	},
	"compat": {{"usr/local/cuda-12.4/compat/libcuda.so.550.54.15": {Data: "x"}}},
	"config": {{"etc/OpenCL/vendors/nvidia.icd": {Data: "libnvidia-opencl.so.1\n"}}},

	"gpu":      {{"usr/bin/app": gpuProgram()}},
	"mismatch": {{"usr/bin/app": gpuProgram()}},
	"shadow":   {{"usr/bin/app": gpuProgram(), "opt/lib/libcuda.so.1": {}}},
}

var scriptEnv = map[string][]string{
	"gpu":      {"CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=driver>=525.60.13"},
	"mismatch": {"CUDA_VERSION=11.8.0"},
	"shadow":   {"LD_LIBRARY_PATH=/opt/lib"},
}

// gpuProgram has the runtime of CUDA 12.4 inside, and code for Ampere and Hopper.
func gpuProgram() imagetest.Entry {
	data := append(imagetest.ELF{Exports: []string{"main"}}.Bytes(), imagetest.Cudart(12040)...)
	code := imagetest.Fatbin(append(imagetest.SASS(80, 90), imagetest.PTX(8, 4, 90))...)
	return imagetest.File(append(imagetest.Align(data), code...))
}
