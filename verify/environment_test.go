// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// TestEnvironment judges what an image tells the runtime hook and the dynamic linker.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	video := files{"opt/player": library(imagetest.ELF{Needed: []string{"libnvcuvid.so.1", "libcuda.so.1"}})}
	cuda := files{"opt/app": gpuFile("", 12040, all124)}
	open := files{"srv/plugins": {Dir: true, Mode: 0o777}, "srv/plugins/x.so": {Data: "x"}}
	for _, tc := range []struct {
		name  string
		env   []string
		files files
		rule  string // "" for no finding about the environment
		want  string
	}{
		{"nothing", []string{"NVIDIA_VISIBLE_DEVICES=all"}, cuda, "", ""},
		{"video, which is not asked for", []string{"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"}, video, "capability-missing", "video"},
		{"video, by default", []string{"NVIDIA_VISIBLE_DEVICES=all"}, video, "capability-missing", "libnvcuvid.so.1"},
		{"video asked for", []string{"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute, video"}, video, "", ""},
		{"all", []string{"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=all"}, video, "", ""},
		{"a legacy image has all", []string{"CUDA_VERSION=7.5"}, video, "", ""},
		{"no compute", []string{"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=utility"}, cuda, "capability-missing", "compute"},
		{"unknown word", []string{"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,vidoe"}, cuda, "capability-unknown", `"vidoe"`},
		{"in capitals", []string{"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=Compute"}, files{}, "capability-unknown", `"Compute"`},
		{"no devices", []string{"NVIDIA_VISIBLE_DEVICES=void"}, cuda, "devices-not-asked", "void"},
		{"empty devices", []string{"NVIDIA_VISIBLE_DEVICES="}, cuda, "devices-not-asked", "NVIDIA_VISIBLE_DEVICES"},
		{"devices not named", nil, cuda, "devices-not-asked", "NVIDIA_VISIBLE_DEVICES"},
		{"no devices, no code", []string{"NVIDIA_VISIBLE_DEVICES=void"}, files{"etc/passwd": {Data: "x"}}, "", ""},
		{"preload of a relative path", []string{"LD_PRELOAD=./poc.so"}, files{}, "preload-path", "./poc.so"},
		{"preload of the working directory", []string{"LD_PRELOAD=/proc/self/cwd/poc.so"}, files{}, "preload-path", "/proc/self/cwd/poc.so"},
		{"preload of a path that all may write", []string{"LD_PRELOAD=libz.so.1:/tmp/x.so"}, files{}, "preload-path", "/tmp/x.so"},
		{"preload of a folder that all may write", []string{"LD_PRELOAD=/srv/plugins/x.so"}, open, "preload-path", "srv/plugins"},
		{"preload by file", nil, files{"etc/ld.so.preload": {Data: "/var/tmp/x.so\n"}}, "preload-path", "etc/ld.so.preload"},
		{"ordinary preload", []string{"LD_PRELOAD=/usr/lib/libjemalloc.so.2 libz.so.1"}, files{}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			img, err := mutate.Config(imagetest.New(layer(tc.files)), v1.Config{Env: tc.env, WorkingDir: "/"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range judge(t, img).Findings {
				if strings.HasPrefix(f.Rule, "capability-") || strings.HasPrefix(f.Rule, "devices-") || strings.HasPrefix(f.Rule, "preload-") {
					got = append(got, f.Rule+" "+f.Detail)
				}
			}
			if tc.rule == "" && len(got) > 0 || tc.rule != "" && (len(got) != 1 || !strings.HasPrefix(got[0], tc.rule+" ") || !strings.Contains(got[0], tc.want)) {
				t.Errorf("findings %q, want %s with %q", got, tc.rule, tc.want)
			}
		})
	}
}
