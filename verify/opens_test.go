// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// naming is an ELF file with a text, as one that opens a library by name has it.
func naming(text string) imagetest.Entry {
	elf := imagetest.ELF{SOName: "libuser.so", Imports: []string{"dlopen", "dlsym"}, Exec: 300 << 10}
	return imagetest.File(append(elf.Bytes(), "\x00"+text+"\x00"...))
}

// TestReleaseThatNobodySays: whoever asks for the driver by name, whichever of its libraries
// and whenever, and does not say how new it must be, is not said to run.
func TestReleaseThatNobodySays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file imagetest.Entry
		env  string
		want compat.Verdict
		why  string
	}{
		"needs NVML":               {user("libnvidia-ml.so.1"), "", compat.Unknown, "opt/x needs the driver's libnvidia-ml.so.1, and neither"},
		"needs nvcuvid":            {user("libnvcuvid.so.1"), "", compat.Unknown, "libnvcuvid.so.1"},
		"needs NvEncode":           {user("libnvidia-encode.so.1"), "", compat.Unknown, "libnvidia-encode.so.1"},
		"needs OptiX":              {user("libnvoptix.so.1"), "", compat.Unknown, "libnvoptix.so.1"},
		"opens libcuda":            {naming("libcuda.so.1"), "", compat.Unknown, "opt/x names the driver's libcuda.so, which it may open while it runs, and neither"},
		"opens it by another name": {naming("/usr/lib64/libcuda.so"), "", compat.Unknown, "names the driver's libcuda.so"},
		"opens NVML":               {naming("libnvidia-ml.so.1"), "", compat.Unknown, "names the driver's libnvidia-ml.so"},
		"opens nvcuvid":            {naming("libnvcuvid.so.1"), "", compat.Unknown, "names the driver's libnvcuvid.so"},
		"opens several":            {naming("libnvidia-ml.so.1\x00libcuda.so.1"), "", compat.Unknown, "names the driver's libcuda.so"},
		"names another library":    {naming("libnvrtc.so.12 libnvidia-container.so.1 libcudadebug.so"), "", compat.Native, "nothing in the image needs"},
		"a script names it":        {executable("#!/bin/sh\nldd libcuda.so.1\n"), "", compat.Native, "nothing in the image needs"},
		"a release is declared":    {naming("libcuda.so.1"), "CUDA_VERSION=12.4", compat.Native, "the image needs 12.4"},
		"a runtime is inside":      {imagetest.File(append([]byte(gpuFile("", 12040).Data), "libcuda.so.1\x00"...)), "", compat.Native, "opt/x needs 12.4"},
	} {
		report := judge(t, imagetest.WithEnv(imagetest.New(layer(files{"opt/x": tc.file})), tc.env))
		if p := report.Predict(h100); p.Verdict != tc.want || !strings.Contains(p.Why, tc.why) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, p.Verdict, p.Why, tc.want, tc.why)
		}
	}
}

// TestOwnLibcudaOfTheHostsVersion: the version may stand in the content alone.
func TestOwnLibcudaOfTheHostsVersion(t *testing.T) {
	t.Parallel()
	lib := func(texts string) imagetest.Entry {
		return imagetest.File(append(realLibrary("libcuda.so.1", "cuInit", "cuDriverGetVersion", "cuGetExportTable", "cudbgIpcFlag"), texts...))
	}
	const id = "\x00nvidia id: NVIDIA CUDA Driver  550.54.14  Release Build\x00"
	for name, tc := range map[string]struct {
		file   imagetest.Entry
		driver string
		want   compat.Verdict
		why    string
	}{
		"the host's":       {lib(id), "550.54.14", compat.Native, "opt/q/libcuda.so.1 is found through LD_LIBRARY_PATH, and is of that very driver"},
		"another version":  {lib(id), "550.90.07", compat.No, "it is of driver 550.54.14, which does not go with driver 550.90.07 (error 803)"},
		"nobody can tell":  {lib(""), "550.54.14", compat.Unknown, "it does not say of which driver it is"},
		"of a newer major": {lib(id), "535.161.07", compat.Unknown, "it is of driver 550.54.14, newer than 535.161.07"},
	} {
		img := imagetest.WithEnv(imagetest.New(layer(files{"opt/q/libcuda.so.1": tc.file, "opt/app": gpuFile("", 12020, all124)})), "LD_LIBRARY_PATH=/opt/q")
		r := judge(t, img)
		if p := r.Predict(compat.Host{Driver: tc.driver, GPU: h100.GPU}); p.Verdict != tc.want || !strings.Contains(p.Why, tc.why) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, p.Verdict, p.Why, tc.want, tc.why)
		}
	}
}

// TestOtherSystems: an image whose files no rule knows does not pass, and one with a leak
// fails all the same.
func TestOtherSystems(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		os    string
		files files
		want  verify.Verdict
	}{
		"windows":          {"windows", files{"Files/Windows/System32/nvcuda.dll": {Data: "MZ"}}, verify.Unknown},
		"freebsd":          {"freebsd", files{"bin/sh": {Data: "x"}}, verify.Unknown},
		"windows, leaking": {"windows", files{"usr/lib/libcuda.so.1": leaked}, verify.Fail},
		"linux":            {"linux", files{"bin/sh": {Data: "x"}}, verify.Pass},
		"none named":       {"", files{"bin/sh": {Data: "x"}}, verify.Pass},
	} {
		img := ofSystem(t, imagetest.New(layer(tc.files)), tc.os)
		r := judge(t, img)
		if r.Verdict != tc.want {
			t.Errorf("%s: %s (%+v), want %s", name, r.Verdict, r.Findings, tc.want)
		}
		if p := r.Predict(h100); tc.want == verify.Unknown && (p.Verdict != compat.Unknown || !strings.Contains(p.Why, "an image for "+tc.os+"/amd64: only Linux images can be judged")) {
			t.Errorf("%s: %s (%s), want unknown because of the system", name, p.Verdict, p.Why)
		}
	}
}

func ofSystem(t *testing.T, img v1.Image, system string) v1.Image {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS = system
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}
