// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// named returns what a helper exports that opens the driver at the first call: the
// driver's own names, and many of them.
func named(count int, prefix string, names ...string) []string {
	for i := range count {
		names = append(names, fmt.Sprintf("%sFunction%d", prefix, i))
	}
	return names
}

// briefs returns severity, rule and path of the findings about files.
func briefs(r verify.Report) []string {
	var got []string
	for _, f := range r.Findings {
		got = append(got, string(f.Severity)+" "+f.Rule+" "+f.Path)
	}
	return got
}

// TestLibrariesThatOpenTheDriver has libraries with the driver's interface and little
// code: what they are depends on whether ld.so could take them for the driver's.
func TestLibrariesThatOpenTheDriver(t *testing.T) {
	t.Parallel()
	cuda := named(607, "cu", "cuInit", "cuDriverGetVersion", "cuGetExportTable")
	nvml := named(120, "nvml", "nvmlInit", "nvmlDeviceGetCount", "nvmlSystemGetDriverVersion")
	cuvid := []string{"cuvidCreateDecoder", "cuvidCreateVideoParser", "cuvidDestroyDecoder"}
	helper := func(soname string, code int, exports ...string) imagetest.Entry {
		return imagetest.File(imagetest.ELF{SOName: soname, Exports: exports, Imports: []string{"dlopen", "dlsym"}, Exec: code}.Bytes())
	}
	const wheel = "usr/lib/python3/site-packages/jaxlib/mosaic/gpu/"
	for name, tc := range map[string]struct {
		files entries
		want  []string
	}{
		"a wheel's helper":              {entries{wheel + "libmosaic_gpu_runtime.so": helper("libmosaic_gpu_runtime.so", 60<<10, cuda...)}, nil},
		"on a search path":              {withLibc(entries{"usr/local/lib/libhelper.so": helper("libhelper.so", 60<<10, cuda...), "etc/ld.so.conf": {Data: "/usr/local/lib\n"}}), nil},
		"without a SONAME":              {entries{"opt/app/_native.so": helper("", 60<<10, cuda...)}, nil},
		"wrapper of NVML":               {entries{"opt/app/libnvml_wrapper.so": helper("libnvml_wrapper.so.2", 30<<10, nvml...)}, nil},
		"loader of nvcuvid":             {entries{"opt/app/libvideo.so": helper("libvideo.so", 20<<10, cuvid...)}, nil},
		"loader of NvEncode":            {entries{"opt/app/libencoder.so": helper("libencoder.so", 9<<10, "NvEncodeAPICreateInstance", "NvEncodeAPIGetMaxSupportedVersion")}, nil},
		"loader of optical flow":        {entries{"opt/app/libflow.so": helper("libflow.so", 5<<10, "NvOFGetMaxSupportedApiVersion")}, nil},
		"several in one":                {entries{"opt/app/liball.so": helper("liball.so", 90<<10, slices.Concat(cuda, nvml, cuvid)...)}, nil},
		"in a wheel":                    {entries{"opt/w.whl": imagetest.File(zipFile(false, map[string][]byte{"x/helper.so": []byte(helper("helper.so", 60<<10, cuda...).Data)}))}, nil},
		"much code of its own":          {entries{"opt/libtensor.so": helper("libtensor.so", 2<<20, cuda...)}, []string{"warn driver-api-provider opt/libtensor.so"}},
		"the driver's own code":         {entries{"opt/helper.bin": helper("", 5<<20, append(cuda, "cudbgIpcFlag")...)}, []string{"fail driver-library opt/helper.bin"}},
		"NVENC's own code":              {entries{"opt/helper.bin": helper("", 84<<10, "NvEncodeAPICreateInstance")}, []string{"fail driver-library opt/helper.bin"}},
		"optical flow's own code":       {entries{"opt/helper.bin": helper("", 30<<10, "NvOFAPICreateInstanceCuda", "NvOFGetMaxSupportedApiVersion")}, []string{"fail driver-library opt/helper.bin"}},
		"under the driver's name":       {entries{"opt/libcuda.so.1": helper("", 60<<10, cuda...)}, []string{"fail stub-misplaced opt/libcuda.so.1"}},
		"under auditwheel's name of it": {entries{"opt/x.libs/libcuda-1a2b3c4d.so.1": helper("libcuda-1a2b3c4d.so.1", 200, cuda...)}, []string{"fail stub-misplaced opt/x.libs/libcuda-1a2b3c4d.so.1"}},
		"exports for debuggers too":     {entries{"opt/jax/libmosaic_gpu_runtime.so": helper("", 60<<10, append(cuda, "cudbgIpcFlag")...)}, nil},
		"a renamed stub":                {entries{"opt/libfoo.so": helper("libcuda.so.1", 200, cuda...)}, []string{"fail stub-misplaced opt/libfoo.so"}},
		"a renamed stub of NVML":        {entries{"opt/libfoo.so": helper("libnvidia-ml.so.1", 200, nvml...)}, []string{"fail stub-misplaced opt/libfoo.so"}},
		"a link of the driver's name":   {entries{"opt/helper.so": helper("helper.so", 60<<10, cuda...), "usr/lib/libcuda.so.1": {Symlink: "/opt/helper.so"}}, []string{"fail stub-loaded opt/helper.so", "fail driver-library usr/lib/libcuda.so.1"}},
		"a hard link of it":             {entries{"opt/helper.so": helper("helper.so", 60<<10, cuda...), "usr/lib/libcuda.so.1": {Link: "opt/helper.so"}}, []string{"fail driver-library usr/lib/libcuda.so.1", "fail stub-loaded usr/lib/libcuda.so.1"}},
	} {
		for _, nested := range []bool{false, true} {
			report, err := verify.New(verify.Options{Nested: nested}).Image(t.Context(), name, imagetest.New(layer(tc.files)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, briefs(report)); diff != "" {
				t.Errorf("%s, nested %t: findings (-want +got):\n%s", name, nested, diff)
			}
		}
	}
}

// TestLinkedHelperIsNoDriver holds that a link of the driver's name that leads to such a
// library is not taken for the host's driver.
func TestLinkedHelperIsNoDriver(t *testing.T) {
	t.Parallel()
	helper := imagetest.ELF{SOName: "helper.so", Exports: named(607, "cu", "cuInit", "cuDriverGetVersion", "cuGetExportTable"), Exec: 60 << 10}
	img := imagetest.WithEnv(imagetest.New(layer(entries{"opt/helper.so": library(helper), "opt/lib/libcuda.so.1": {Symlink: "../helper.so"}})), "LD_LIBRARY_PATH=/opt/lib")
	if r := judge(t, img); r.Verdict != verify.Fail || r.Libcuda.Winner != "opt/lib/libcuda.so.1" || !r.Libcuda.File.Stub {
		t.Errorf("verdict %s, libcuda %+v, want fail and the link as a stub", r.Verdict, r.Libcuda)
	}
}

// TestDeviceCodeOfLazyLibraries holds that what such a library asks of a GPU still counts.
func TestDeviceCodeOfLazyLibraries(t *testing.T) {
	t.Parallel()
	exports := named(607, "cu", "cuInit", "cuDriverGetVersion", "cuGetExportTable")
	for _, code := range []int{60 << 10, 2 << 20} {
		data := imagetest.Align(imagetest.ELF{SOName: "libx.so", Exports: exports, Exec: code}.Bytes())
		data = append(data, imagetest.Fatbin(imagetest.SASS(90)...)...)
		r := judge(t, imagetest.New(layer(entries{"opt/libx.so": imagetest.File(data)})))
		if diff := cmp.Diff([]string{"sm_90"}, r.Portability.SASS); diff != "" {
			t.Errorf("%d bytes of code: SASS (-want +got):\n%s", code, diff)
		}
	}
}
