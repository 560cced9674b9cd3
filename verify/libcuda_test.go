// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cudabuild/cudabuild/compat"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// layered is an image of layers.
func layered(all ...files) v1.Image {
	var blobs []*imagetest.Blob
	for _, f := range all {
		blobs = append(blobs, layer(f))
	}
	return imagetest.New(blobs...)
}

// TestCompatWhereTheHookLooks: cuda-compat counts only where the runtime hook takes it
// from, and then whenever it is newer than the host's driver.
func TestCompatWhereTheHookLooks(t *testing.T) {
	t.Parallel()
	lib := imagetest.File(realLibrary("libcuda.so.1"))
	noted := imagetest.File(imagetest.ELF{SOName: "libcuda.so.1", Exec: 300 << 10, Note: `{"Driver": [535]}`}.Bytes())
	app := gpuFile("", 12040, imagetest.Fatbin(imagetest.SASS(80)...))
	const dir = "usr/local/cuda/compat/"
	for name, tc := range map[string]struct {
		layers []files
		host   compat.Host
		want   compat.Verdict
		code   int
		why    string
	}{
		"used":                    {[]files{{dir + "libcuda.so.550.54.14": lib}}, compat.Host{Driver: "470.57.02"}, compat.ForwardCompat, 0, "nvidia-cdi-hook 1.20.1 (CDI mode) puts"},
		"used though not needed":  {[]files{{dir + "libcuda.so.550.54.14": lib}}, compat.Host{Driver: "535.54.03"}, compat.ForwardCompat, 0, "on data-center GPUs only (error 804 on others)"},
		"through a link":          {[]files{{"usr/local/cuda-12.4/compat/libcuda.so.550.54.14": lib, "usr/local/cuda": {Symlink: "cuda-12.4"}}}, compat.Host{Driver: "535.54.03"}, compat.ForwardCompat, 0, ""},
		"GeForce":                 {[]files{{dir + "libcuda.so.550.54.14": lib}}, compat.Host{Driver: "535.54.03", Brand: "geforcertx"}, compat.No, compat.ErrorCompat, "error 804"},
		"workstation":             {[]files{{dir + "libcuda.so.550.54.14": lib}}, compat.Host{Driver: "535.54.03", Brand: "quadrortx"}, compat.No, compat.ErrorCompat, "error 804"},
		"not newer":               {[]files{{dir + "libcuda.so.550.54.14": lib}}, compat.Host{Driver: "550.163.01", Brand: "geforce"}, compat.Native, 0, "does not use the image's cuda-compat"},
		"no usr/local/cuda":       {[]files{{"usr/local/cuda-12.4/compat/libcuda.so.550.54.14": lib}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "does not use the cuda-compat in /usr/local/cuda-12.4/compat"},
		"another release's there": {[]files{{"usr/local/cuda-12.4/compat/libcuda.so.550.54.14": lib, "usr/local/cuda-11.8/x": {}, "usr/local/cuda": {Symlink: "cuda-11.8"}}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "does not use"},
		"NGC's lib.real":          {[]files{{dir + "lib.real/libcuda.so.550.54.14": lib}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "lib.real"},
		"several":                 {[]files{{dir + "libcuda.so.550.54.14": lib, dir + "libcuda.so.535.161.07": lib}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "has 2 files"},
		"an empty second":         {[]files{{dir + "libcuda.so.550.54.14": lib, dir + "libcuda.so.1.1": {}}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "has 2 files"},
		"second is taken off":     {[]files{{dir + "libcuda.so.550.54.14": lib, dir + "libcuda.so.535.161.07": lib}, {dir + ".wh.libcuda.so.535.161.07": {}}}, compat.Host{Driver: "470.57.02"}, compat.ForwardCompat, 0, ""},
		"taken off":               {[]files{{dir + "libcuda.so.550.54.14": lib}, {"usr/local/cuda/.wh.compat": {}}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, ""},
		"legacy takes the newest": {[]files{{dir + "libcuda.so.550.54.14": lib, dir + "libcuda.so.535.161.07": lib}}, compat.Host{Driver: "470.57.02", Hook: compat.HookLegacy}, compat.ForwardCompat, 0, "libnvidia-container"},
		"an empty libcuda.so.1":   {[]files{{dir + "libcuda.so.550.54.14": lib, dir + "libcuda.so.1": {}}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "no library under libcuda's name"},
		"a file libcuda.so.1":     {[]files{{dir + "libcuda.so.550.54.14": {}, dir + "libcuda.so.1": lib}}, compat.Host{Driver: "470.57.02"}, compat.ForwardCompat, 0, ""},
		"a hard link":             {[]files{{"opt/libcuda": lib}, {dir + "libcuda.so.550.54.14": {Link: "opt/libcuda"}}}, compat.Host{Driver: "470.57.02"}, compat.ForwardCompat, 0, ""},
		"noted":                   {[]files{{dir + "libcuda.so.550.54.14": noted}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "its note does not name branch 470 among [535]"},
		"a hard link, noted":      {[]files{{"a/libcuda": noted, dir + "libcuda.so.550.54.14": {Link: "a/libcuda"}}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "its note does not name"},
		"one below, noted":        {[]files{{"a/libcuda": noted}, {dir + "libcuda.so.550.54.14": {Link: "a/libcuda"}}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "its note does not name"},
		"higher by a link's name": {[]files{{dir + "libcuda.so.550.54.14": lib, "opt/libcuda.so.470.57.02": lib, dir + "libcuda.so.900.10": {Symlink: "/opt/libcuda.so.470.57.02"}}}, compat.Host{Driver: "450.80.02"}, compat.No, compat.ErrorDriver, "470.57.02"},
		"empty":                   {[]files{{dir + "libcuda.so.550.54.14": {}}}, compat.Host{Driver: "470.57.02"}, compat.No, compat.ErrorDriver, "is no library"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.layers[0]["opt/app"] = app
			tc.host.GPU = compat.Target{SM: 80}
			r := judge(t, layered(tc.layers...))
			if p := compat.Predict(r.Portability.Needs, tc.host); p.Verdict != tc.want || p.CUDAError != tc.code || !strings.Contains(p.Why, tc.why) {
				t.Errorf("%+v, want %s, error %d, %q", p, tc.want, tc.code, tc.why)
			}
		})
	}
}

// TestWhoAsksForLibcuda: a RUNPATH is that of the file that asks, an RPATH is passed on.
func TestWhoAsksForLibcuda(t *testing.T) {
	t.Parallel()
	const own = "opt/own/libcuda.so.1"
	cudart := func(runpath string) imagetest.Entry {
		lib := imagetest.ELF{SOName: "libcudart.so.12", RunPath: runpath, Exec: 300 << 10}.Bytes()
		return imagetest.File(append(lib, imagetest.Cudart(12040)...))
	}
	for name, tc := range map[string]struct {
		program imagetest.ELF
		runpath string
		want    string
	}{
		"the program":                  {imagetest.ELF{RunPath: "/opt/own"}, "", own},
		"the program, by need":         {imagetest.ELF{RunPath: "/opt/own:/opt/app", Needed: []string{"libcudart.so.12", "libcuda.so.1"}}, "", own},
		"a library":                    {imagetest.ELF{RunPath: "/opt/own:/opt/app", Needed: []string{"libcudart.so.12"}}, "", "host"},
		"a library of the same origin": {imagetest.ELF{RunPath: "/opt/app", Needed: []string{"libcudart.so.12"}}, "$ORIGIN/../own", own},
		"a library, by RPATH":          {imagetest.ELF{RPath: "/opt/own:/opt/app", Needed: []string{"libcudart.so.12"}}, "", own},
		"a library, not by RPATH":      {imagetest.ELF{RPath: "/opt/own:/opt/app", Needed: []string{"libcudart.so.12"}}, "/opt/none", "host"},
	} {
		tc.program.Interp = ldso
		img := layered(files{"opt/app/p": imagetest.File(tc.program.Bytes()), "opt/app/libcudart.so.12": cudart(tc.runpath), own: imagetest.File(realLibrary("libcuda.so.1")), ldso[1:]: imagetest.File(realLibrary("ld-linux-x86-64.so.2"))})
		if r := judge(t, imagetest.WithEntrypoint(img, "/opt/app/p")); r.Libcuda.Winner != tc.want {
			t.Errorf("%s: %+v, want %s", name, r.Libcuda, tc.want)
		}
	}
}

// TestNoWayToTheHost: without what the hook writes no search path leads to the host's library.
func TestNoWayToTheHost(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ conf, folder, want string }{
		"no include":             {"/opt/lib\n", compat.FolderAside, "no search path leads to the host's libcuda"},
		"an include":             {"include ld.so.conf.d/*.conf\n", compat.FolderAside, ""},
		"a directory by default": {"/opt/lib\n", "usr/lib64", ""},
	} {
		r := judge(t, layered(withLibc(files{"opt/app": gpuFile("", 12040, imagetest.Fatbin(imagetest.SASS(80)...)), "etc/ld.so.conf": {Data: tc.conf}})))
		p := compat.Predict(r.Portability.Needs, compat.Host{Driver: "550.54.14", GPU: compat.Target{SM: 80}, Folder: tc.folder})
		if p.Verdict.Runs() != (tc.want == "") || !strings.Contains(p.Why, tc.want) {
			t.Errorf("%s: %+v, want %q", name, p, tc.want)
		}
	}
}

// TestLinkerConfigElsewhere: what ld.so.conf leads to counts wherever it is.
func TestLinkerConfigElsewhere(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]files{
		"a link":       {"etc/ld.so.conf.d/a.conf": {Symlink: "/opt/my.conf"}, "opt/my.conf": {Data: "# ours\n/opt/lib\n"}},
		"two links":    {"etc/ld.so.conf.d/a.conf": {Symlink: "/etc/alternatives/x"}, "etc/alternatives/x": {Symlink: "/usr/lib/x/ld.so.conf"}, "usr/lib/x/ld.so.conf": {Data: "/opt/lib\n"}},
		"an include":   {"etc/ld.so.conf.d/a.conf": {Data: "include /opt/conf/*.conf\n"}, "opt/conf/my.conf": {Data: "/opt/lib\n"}},
		"a linked one": {"etc/ld.so.conf.d/a.conf": {Data: "include /opt/conf/*.conf\n"}, "opt/conf": {Symlink: "conf-1"}, "opt/conf-1/my.conf": {Data: "/opt/lib\n"}},
	} {
		config["etc/ld.so.conf"] = imagetest.Entry{Data: "include /etc/ld.so.conf.d/*.conf\n"}
		config["opt/lib/libcuda.so.1"] = imagetest.File(realLibrary("libcuda.so.1"))
		if r := judge(t, layered(config)); r.Libcuda.Winner != "opt/lib/libcuda.so.1" {
			t.Errorf("%s: %+v, want opt/lib/libcuda.so.1", name, r.Libcuda)
		}
	}
}

// TestHostsFolderInPlace: a directory behind the one where the host's library is does no harm.
func TestHostsFolderInPlace(t *testing.T) {
	t.Parallel()
	const dir = "usr/local/cuda/compat/"
	for conf, want := range map[string]string{
		"zzz-compat.conf": "host", "x86_64.conf": "host", "000-x.conf": dir + "libcuda.so.1", "cuda-12-4.conf": dir + "libcuda.so.1", "z-cuda.conf": "host",
	} {
		image := layered(files{
			dir + "libcuda.so.550.54.14": imagetest.File(realLibrary("libcuda.so.1")), dir + "libcuda.so.1": {Symlink: "libcuda.so.550.54.14"},
			"etc/debian_version": {Data: "13.1"}, "etc/ld.so.conf": {Data: "include /etc/ld.so.conf.d/*.conf\n"},
			"etc/ld.so.conf.d/x86_64-linux-gnu.conf": {Data: "/usr/lib/x86_64-linux-gnu\n"}, "etc/ld.so.conf.d/" + conf: {Data: "/" + dir},
		})
		r := judge(t, image)
		fails := r.Verdict == "fail"
		if r.Libcuda.Winner != want || fails != (want != "host") {
			t.Errorf("%s: %s, %+v, want %s", conf, r.Verdict, r.Libcuda, want)
		}
	}
}
