// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"maps"
	"testing"

	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

// toolkitStubs are the stubs of CUDA 12.4 that are of the toolkit's own libraries, by what
// each calls itself. bench/corpus judges the real ones.
var toolkitStubs = map[string]string{
	"libcublas": "12", "libcublasLt": "12", "libcufft": "11", "libcufftw": "11", "libcurand": "10", "libcusolver": "11", "libcusolverMg": "11",
	"libcusparse": "12", "libnppc": "12", "libnppial": "12", "libnppicc": "12", "libnppidei": "12", "libnppif": "12", "libnppig": "12",
	"libnppim": "12", "libnppist": "12", "libnppisu": "12", "libnppitc": "12", "libnpps": "12", "libnvJitLink": "12", "libnvfatbin": "12",
	"libnvjpeg": "12", "libnvrtc": "12",
}

// TestToolkitStubs holds that a devel image's stubs are fine where they lie, and not
// where a program loads them.
func TestToolkitStubs(t *testing.T) {
	t.Parallel()
	const dir = "usr/local/cuda-12.4/targets/x86_64-linux/lib/stubs/"
	stubs := withLibc(map[string]imagetest.Entry{
		dir + "libcuda.so": stub,
		dir + "libnvidia-ml.so": library(imagetest.ELF{
			SOName: "libnvidia-ml.so.1", Exec: 100,
			Exports: []string{"nvmlInit", "nvmlDeviceGetCount", "nvmlSystemGetDriverVersion"},
		}),
	})
	for stem, version := range toolkitStubs {
		stubs[dir+stem+".so"] = library(imagetest.ELF{SOName: stem + ".so." + version, Exec: 100, Exports: []string{stem + "Create"}})
	}
	if r := judge(t, imagetest.New(layer(stubs))); r.Verdict != verify.Pass || len(r.Findings) > 0 {
		t.Errorf("in place: verdict %s, findings %+v, want none", r.Verdict, r.Findings)
	}
	linked := maps.Clone(toolkitStubs)
	linked["libcuda"], linked["libnvidia-ml"] = "1", "1"
	for stem, version := range linked {
		name := stem + ".so." + version
		for what, spoiled := range map[string]map[string]imagetest.Entry{
			"linked":           {"usr/lib64/" + name: {Symlink: "/" + dir + stem + ".so"}},
			"on a search path": {"etc/ld.so.conf": {Data: "/" + dir}},
		} {
			spoiled["usr/bin/p"] = program(nil, name)
			r := judge(t, imagetest.New(layer(stubs), layer(spoiled)))
			if r.Verdict != verify.Fail {
				t.Errorf("%s %s: verdict %s, findings %+v, want fail", stem, what, r.Verdict, r.Findings)
			}
		}
	}
}
