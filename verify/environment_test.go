// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/verify"
)

const (
	gpus    = "NVIDIA_VISIBLE_DEVICES=all"
	visible = "NVIDIA_VISIBLE_DEVICES="
	asks    = "NVIDIA_DRIVER_CAPABILITIES="
)

// user is a library that needs these of the driver.
func user(libraries ...string) imagetest.Entry {
	return imagetest.File(imagetest.ELF{SOName: "libuser.so", Needed: libraries, Exec: 300 << 10}.Bytes())
}

// TestCapabilities holds NVIDIA_DRIVER_CAPABILITIES against what the files need.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	video, cuda := files{"opt/player": user("libnvcuvid.so.1", "libcuda.so.1")}, files{"opt/app": gpuFile("", 12040, all124)}
	for _, tc := range []struct {
		name  string
		env   []string
		files files
		rule  string // "" for no finding about the environment
		want  string
	}{
		{"nothing", []string{gpus}, cuda, "", ""},
		{"as official images have it", []string{gpus, asks + "compute,utility", "CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.4"}, cuda, "", ""},
		{"video, which is not asked for", []string{gpus, asks + "compute,utility"}, video, "capability-missing", "video"},
		{"video, by default", []string{gpus}, video, "capability-missing", "libnvcuvid.so.1"},
		{"video, by an empty value", []string{gpus, asks}, video, "capability-missing", "opt/player"},
		{"video asked for", []string{gpus, asks + "compute, video"}, video, "", ""},
		{"video brings what it computes with", []string{gpus, asks + "video"}, video, "", ""},
		{"all", []string{gpus, asks + "all"}, video, "", ""},
		{"all beside what is no word", []string{gpus, asks + "vidoe,all"}, video, "", ""},
		{"a legacy image has all", []string{"CUDA_VERSION=7.5"}, video, "", ""},
		{"a legacy image that names some", []string{"CUDA_VERSION=7.5", asks + "compute"}, video, "capability-missing", "video"},
		{"two libraries, one finding", []string{gpus, asks + "utility,compute"}, files{"opt/player": user("libnvcuvid.so.1", "libnvidia-encode.so.1")}, "capability-missing", "libnvidia-encode.so.1"},
		{"optical flow in a lower layer's plugin", []string{gpus, asks + "utility,compute"}, files{"opt/p/flow.so": user("libnvidia-opticalflow.so.1")}, "capability-missing", "libnvidia-opticalflow.so.1"},
		{"no compute", []string{gpus, asks + "utility"}, cuda, "capability-missing", "compute"},
		{"commas alone are none", []string{gpus, asks + " , "}, cuda, "capability-missing", "compute"},
		{"OpenCL computes too", []string{gpus, asks + "utility"}, files{"opt/x": user("libnvidia-opencl.so.1")}, "capability-missing", "compute"},
		{"NVML", []string{gpus, asks + "compute"}, files{"opt/top": user("libnvidia-ml.so.1")}, "capability-missing", "utility"},
		{"ray tracing", []string{gpus, asks + "compute,utility"}, files{"opt/x": user("libnvoptix.so.1")}, "capability-missing", "graphics"},
		{"display brings graphics", []string{gpus, asks + "display"}, files{"opt/x": user("libEGL_nvidia.so.0")}, "", ""},
		{"ngx", []string{gpus, asks + "graphics"}, files{"opt/x": user("libnvidia-ngx.so.1")}, "capability-missing", "ngx"},
		{"the dispatcher is not the driver's", []string{gpus}, files{"opt/x": user("libEGL.so.1", "libOpenCL.so.1", "libvdpau.so.1")}, "", ""},
		{"unknown word", []string{gpus, asks + "compute,vidoe"}, cuda, "capability-unknown", `"vidoe"`},
		{"in capitals", []string{gpus, asks + "Compute"}, files{}, "capability-unknown", `"Compute"`},
		{"none", []string{gpus, asks + "none"}, cuda, "capability-unknown", `"none"`},
		{"with blanks for commas", []string{gpus, asks + "compute utility"}, cuda, "capability-unknown", `"compute utility"`},
		{"in quotes", []string{gpus, asks + `"compute,utility"`}, cuda, "capability-unknown", `"\"compute"`},
		{"of 32 bits", []string{gpus, asks + "compute32,utility"}, cuda, "capability-unknown", `"compute32"`},
		{"unknown word where no hook looks", []string{asks + "x"}, files{"etc/passwd": {Data: "x"}}, "", ""},
		{"the last setting counts", []string{gpus, asks + "utility", asks + "compute"}, cuda, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			environs(t, v1.Config{Env: tc.env}, tc.rule, tc.want, layer(tc.files))
		})
	}
	t.Run("what the image's own program does not load", func(t *testing.T) {
		t.Parallel()
		app := imagetest.File(append(imagetest.Align(imagetest.ELF{Interp: "/lib64/ld-linux-x86-64.so.2", Needed: []string{"libcuda.so.1"}, Exec: 300 << 10}.Bytes()), all124...))
		environs(t, v1.Config{Env: []string{gpus}, Entrypoint: []string{"/app"}}, "", "", layer(files{
			"app": app, "opt/player": video["opt/player"], "lib64/ld-linux-x86-64.so.2": user(),
		}))
	})
}

// TestDevices holds NVIDIA_VISIBLE_DEVICES against whether the files need a GPU.
func TestDevices(t *testing.T) {
	t.Parallel()
	cuda := files{"opt/app": gpuFile("", 12040, all124)}
	for _, tc := range []struct {
		name  string
		env   []string
		files files
		rule  string
		want  string
	}{
		{"none named, no code", []string{visible + "void"}, files{"etc/passwd": {Data: "x"}}, "", ""},
		{"void", []string{visible + "void"}, cuda, "devices-void", `"void"`},
		{"void in a list", []string{visible + "0, void"}, cuda, "devices-void", `"0, void"`},
		{"none", []string{visible + "none"}, cuda, "devices-void", `"none"`},
		{"empty", []string{visible}, cuda, "devices-void", "empty"},
		{"blanks", []string{visible + " "}, cuda, "devices-void", "NVIDIA_VISIBLE_DEVICES"},
		{"empty in a legacy image", []string{"CUDA_VERSION=7.5", visible}, cuda, "devices-void", "opt/app"},
		{"the last setting counts", []string{gpus, visible + "void"}, cuda, "devices-void", "void"},
		{"not named", nil, cuda, "devices-unset", "opt/app"},
		{"not named, libcuda by name", nil, files{"opt/x": user("libcuda.so.1")}, "devices-unset", "opt/x"},
		{"not named, decoder by name", []string{asks + "all"}, files{"opt/x": user("libnvcuvid.so.1")}, "devices-unset", "opt/x"},
		{"not named in a legacy image", []string{"CUDA_VERSION=12.4"}, cuda, "", ""},
		{"NVML looks for GPUs and needs none", nil, files{"opt/x": user("libnvidia-ml.so.1")}, "", ""},
		{"one", []string{visible + "GPU-1234abcd"}, cuda, "", ""},
		{"deleted code", nil, files{"opt/app": cuda["opt/app"], "opt/.wh.none": {}}, "devices-unset", "opt/app"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			environs(t, v1.Config{Env: tc.env}, tc.rule, tc.want, layer(tc.files))
		})
	}
	environs(t, v1.Config{}, "", "", layer(cuda), layer(files{"opt/.wh.app": {}}))
}

// TestPreload judges what the dynamic linker is told to load into every program.
func TestPreload(t *testing.T) {
	t.Parallel()
	lib := imagetest.File(imagetest.ELF{SOName: "x.so", Exec: 100}.Bytes())
	all, other := lib, lib
	all.Mode, other.UID = 0o777, 1000
	there := files{
		"srv/plugins": {Dir: true, Mode: 0o777}, "srv/plugins/x.so": lib, "srv/plugins/deep": {Dir: true}, "srv/plugins/deep/x.so": lib,
		"opt": {Dir: true}, "opt/x.so": lib, "opt/all.so": all, "opt/other.so": other, "home/app": {Dir: true, UID: 1000}, "home/app/lib/x.so": lib,
		"opt/to-tmp": {Symlink: "../tmp"}, "opt/to-tmp.so": {Symlink: "/tmp/x.so"}, "usr/lib/libjemalloc.so.2": lib, "srv/plugins/to-opt.so": {Symlink: "/opt/x.so"},
	}
	for _, tc := range []struct {
		name  string
		env   []string
		files files // beside there
		rule  string
		want  string
	}{
		{"relative", []string{"LD_PRELOAD=./poc.so"}, nil, "preload-path", "./poc.so"},
		{"relative without a dot", []string{"LD_PRELOAD=lib/poc.so"}, nil, "preload-path", "lib/poc.so"},
		{"the working directory", []string{"LD_PRELOAD=/proc/self/cwd/poc.so"}, nil, "preload-path", "/proc/self/cwd/poc.so"},
		{"an open file", []string{"LD_PRELOAD=/dev/fd/3"}, nil, "preload-path", "/dev/fd/3"},
		{"a root that is not the program's", []string{"LD_PRELOAD=//proc/1/root/x.so"}, nil, "preload-path", "/proc/1/root/x.so"},
		{"a path that all may write", []string{"LD_PRELOAD=libz.so.1:/tmp/x.so"}, nil, "preload-path", "/tmp/x.so"},
		{"a roundabout one", []string{"LD_PRELOAD=/usr/lib/../../var/tmp/x.so"}, nil, "preload-path", "/var/tmp"},
		{"shared memory, behind a blank", []string{"LD_PRELOAD=/usr/lib/libjemalloc.so.2 /dev/shm/x.so"}, nil, "preload-path", "/dev/shm/x.so"},
		{"a folder that all may write", []string{"LD_PRELOAD=/srv/plugins/x.so"}, nil, "preload-path", "/srv/plugins"},
		{"below such a folder", []string{"LD_PRELOAD=/srv/plugins/deep/x.so"}, nil, "preload-path", "/srv/plugins"},
		{"a file that all may write", []string{"LD_PRELOAD=/opt/all.so"}, nil, "preload-path", "/opt/all.so"},
		{"a file of somebody", []string{"LD_PRELOAD=/opt/other.so"}, nil, "preload-path", "/opt/other.so"},
		{"a folder of somebody", []string{"LD_PRELOAD=/home/app/lib/x.so"}, nil, "preload-path", "/home/app"},
		{"through a link of a folder", []string{"LD_PRELOAD=/opt/to-tmp/x.so"}, nil, "preload-path", "/tmp"},
		{"through a link", []string{"LD_PRELOAD=/opt/to-tmp.so"}, nil, "preload-path", "/tmp"},
		{"through a link that all may change", []string{"LD_PRELOAD=/srv/plugins/to-opt.so"}, nil, "preload-path", "/srv/plugins"},
		{"a token behind it", []string{"LD_PRELOAD=/tmp/$LIB/x.so"}, nil, "preload-path", "/tmp"},
		{"a token that is relative", []string{"LD_PRELOAD=${LIB}/x.so"}, nil, "preload-path", "${LIB}/x.so"},
		{"a name that a relative folder has first", []string{"LD_PRELOAD=poc.so", "LD_LIBRARY_PATH=/usr/lib:."}, nil, "preload-path", "LD_LIBRARY_PATH"},
		{"an auditor", []string{"LD_AUDIT=/tmp/x.so"}, nil, "preload-path", "LD_AUDIT"},
		{"by file", nil, files{"etc/ld.so.preload": {Data: "/var/tmp/x.so\n"}}, "preload-path", "/etc/ld.so.preload"},
		{"by file, in a line with others", nil, files{"etc/ld.so.preload": {Data: "# all\n/opt/x.so /dev/shm/x.so"}}, "preload-path", "/dev/shm/x.so"},
		{"by a linked file", nil, files{"etc/ld.so.preload": {Symlink: "../opt/ld.so.preload"}, "opt/ld.so.preload": {Data: "lib/x.so"}}, "preload-path", "lib/x.so"},
		{"by a file of another name", nil, files{"etc/ld.so.preload": {Symlink: "/opt/list"}, "opt/list": {Data: "lib/x.so"}}, "preload-path", "/opt/list"},
		{"by a file that all may write", nil, files{"etc/ld.so.preload": {Mode: 0o666}}, "preload-path", "/etc/ld.so.preload"},
		{"several are one finding", []string{"LD_PRELOAD=./a.so ./b.so:./c.so"}, nil, "preload-path", "./a.so: it is taken from the folder in which a program starts (and 2 more like it)"},
		{"very many", []string{"LD_PRELOAD=" + strings.Repeat("z.so:", 2_000) + "/tmp/x.so"}, nil, "preload-path", "more than 1000"},
		{"not there", []string{"LD_PRELOAD=/opt/nowhere.so"}, nil, "preload-missing", "/opt/nowhere.so"},

		{"ordinary", []string{"LD_PRELOAD=/usr/lib/libjemalloc.so.2 libz.so.1"}, nil, "", ""},
		{"empty", []string{"LD_PRELOAD="}, nil, "", ""},
		{"empty elements", []string{"LD_PRELOAD=: /opt/x.so:", "LD_LIBRARY_PATH=:/usr/lib:"}, nil, "", ""},
		{"a name with an empty library path", []string{"LD_PRELOAD=libjemalloc.so.2", "LD_LIBRARY_PATH=:/usr/lib:"}, nil, "", ""},
		{"beside the program", []string{"LD_PRELOAD=$ORIGIN/../lib/x.so"}, nil, "", ""},
		{"ordinary token", []string{"LD_PRELOAD=/usr/$LIB/libjemalloc.so.2"}, nil, "", ""},
		{"the host's", []string{"LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libcuda.so.1"}, nil, "", ""},
		{"an ordinary file", nil, files{"etc/ld.so.preload": {Data: "/opt/x.so\n# /tmp/x.so\n"}}, "", ""},
		{"an empty file", nil, files{"etc/ld.so.preload": {}}, "", ""},
		{"no path at all", []string{"LD_PRELOAD=/" + strings.Repeat("tmp/", 100_000)}, nil, "", ""},
		{"another variable", []string{"MY_LD_PRELOAD=./x.so", "LD_PRELOADS=./x.so"}, nil, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			environs(t, v1.Config{Env: tc.env, WorkingDir: "/"}, tc.rule, tc.want, layer(there), layer(tc.files))
		})
	}
	preload := layer(files{"etc/ld.so.preload": {Data: "/tmp/x.so"}})
	environs(t, v1.Config{}, "", "", preload, layer(files{"etc/.wh.ld.so.preload": {}}))
	environs(t, v1.Config{}, "", "", preload, layer(files{"etc/ld.so.preload": {}}))
	environs(t, v1.Config{Env: []string{"LD_PRELOAD=/srv/plugins/x.so"}}, "", "", layer(there), layer(files{"srv/plugins": {Dir: true, Mode: 0o755}}))
	environs(t, v1.Config{Env: []string{"LD_PRELOAD=/opt/all.so"}}, "", "", layer(there), layer(files{"opt/all.so": lib}))
}

// environs compares the findings about the environment with one rule, "" for none.
func environs(t *testing.T, config v1.Config, rule, want string, layers ...*imagetest.Blob) {
	t.Helper()
	img, err := mutate.Config(imagetest.New(layers...), config)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	report := judge(t, img)
	if report.Findings == nil {
		t.Error("findings are null")
	}
	for _, f := range report.Findings {
		kind, _, _ := strings.Cut(f.Rule, "-")
		if slices.Contains([]string{"capability", "devices", "preload"}, kind) {
			got = append(got, f.Rule+": "+f.Detail)
		}
	}
	if rule == "" && len(got) > 0 || rule != "" && (len(got) != 1 || !strings.HasPrefix(got[0], rule+": ") || !strings.Contains(got[0], want)) {
		t.Errorf("findings %q, want %s with %q", got, rule, want)
	}
}

// TestLegacyCapabilities: what the legacy mode does not mount is not there, what it
// refuses does not start; CDI modes look at none of it.
func TestLegacyCapabilities(t *testing.T) {
	t.Parallel()
	program := func(needed ...string) imagetest.Entry {
		return imagetest.File(append(imagetest.Align(imagetest.ELF{Interp: "/lib64/ld-linux-x86-64.so.2", Needed: needed, Exec: 300 << 10}.Bytes()), all124...))
	}
	part := user("libnvcuvid.so.1")
	part.Data += string(imagetest.Align(nil)) + string(all124)
	for _, tc := range []struct {
		name    string
		ask     string
		app     imagetest.Entry
		verdict compat.Verdict
		code    int
		why     string
	}{
		{"compute and utility", "compute,utility", program("libcuda.so.1"), compat.Native, 0, ""},
		{"no compute, which it opens", "utility", gpuFile("", 12040, all124), compat.No, 35, "compute"},
		{"no compute, by name", "graphics", program("libcuda.so.1"), compat.No, 0, "libcuda.so.1"},
		{"no video", "compute", program("libcuda.so.1", "libnvcuvid.so.1"), compat.No, 0, "libnvcuvid.so.1"},
		{"video", "video", program("libcuda.so.1", "libnvcuvid.so.1"), compat.Native, 0, ""},
		{"no video for the one part", "compute", part, compat.No, 0, "libnvcuvid.so.1"},
		{"refused", "compute,gpu", program("libcuda.so.1"), compat.No, 0, `"gpu"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			img, err := mutate.Config(imagetest.New(layer(files{"app": tc.app, "lib64/ld-linux-x86-64.so.2": user()})), v1.Config{Env: []string{gpus, asks + tc.ask}, Entrypoint: []string{"/app"}})
			if err != nil {
				t.Fatal(err)
			}
			report := judge(t, img)
			h := compat.Host{Driver: "550.54.14", GPU: compat.Target{SM: 90}}
			if p := report.Predict(h); p.Verdict != compat.Native {
				t.Errorf("with CDI: %+v, want native", p)
			}
			h.Hook = compat.HookLegacy
			if p := report.Predict(h); p.Verdict != tc.verdict || p.CUDAError != tc.code || !strings.Contains(p.Why, tc.why) {
				t.Errorf("with the legacy mode: %+v, want %s (%d) with %q", p, tc.verdict, tc.code, tc.why)
			}
		})
	}
	t.Run("a plugin that nobody need load", func(t *testing.T) {
		t.Parallel()
		img := imagetest.WithEnv(imagetest.New(layer(files{"app": program("libcuda.so.1"), "opt/flow.so": user("libnvidia-opticalflow.so.1")})), gpus)
		report := judge(t, img)
		if p := report.Predict(compat.Host{Driver: "550.54.14", GPU: compat.Target{SM: 90}, Hook: compat.HookLegacy}); p.Verdict != compat.Native {
			t.Errorf("%+v, want native: only what bears on CUDA decides", p)
		}
	})
}

// TestPreloadedLibcuda: what is preloaded comes before the host's, whatever the search path.
func TestPreloadedLibcuda(t *testing.T) {
	t.Parallel()
	app := gpuFile("", 12040, all124)
	for _, tc := range []struct {
		name, env string
		files     files
		rule      string
		code      int
	}{
		{"stub", "LD_PRELOAD=/usr/local/cuda/lib64/stubs/libcuda.so", files{"usr/local/cuda/lib64/stubs/libcuda.so": imagetest.File(stubCUDA)}, "stub-loaded", 34},
		{"stub by file", "", files{"etc/ld.so.preload": {Data: "/opt/stubs/libcuda.so"}, "opt/stubs/libcuda.so": imagetest.File(stubCUDA)}, "stub-loaded", 34},
		{"forward compatibility", "LD_PRELOAD=libz.so:/usr/local/cuda/compat/libcuda.so.1", files{
			"usr/local/cuda/compat/libcuda.so.1":          {Symlink: "libcuda.so.535.161.07"},
			"usr/local/cuda/compat/libcuda.so.535.161.07": imagetest.File(realLibrary("libcuda.so.1")),
		}, "compat-search-path", 803},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.files["app"] = app
			report := judge(t, imagetest.WithEnv(imagetest.New(layer(tc.files)), gpus, tc.env))
			if p := report.Predict(compat.Host{Driver: "550.54.14", GPU: compat.Target{SM: 90}}); p.CUDAError != tc.code || !strings.Contains(p.Why, "preload") && !strings.Contains(p.Why, "PRELOAD") {
				t.Errorf("%+v, want error %d because of what is preloaded", p, tc.code)
			}
			if !slices.ContainsFunc(report.Findings, func(f verify.Finding) bool { return f.Rule == tc.rule }) {
				t.Errorf("findings %+v, want %s", report.Findings, tc.rule)
			}
		})
	}
}
