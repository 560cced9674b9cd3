// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/gpu/container"
)

func TestGPUList(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"all": "all", "none": "none", "0,1": "0,1", "0:1": "0:1", "GPU-1": "GPU-1", "": "",
		"device=0": "0", `"device=0,1"`: "0,1", "device=0,1": "0,1", "device=GPU-1": "GPU-1", "count=all": "all", "count=-1": "all",
		"all,capabilities=utility": "all", `"device=0,2","capabilities=compute,utility",driver=nvidia`: "0,2",
		"count=2": "error name them", "2,driver=nvidia": "error name them", "driver=amd,device=0": "error want device=LIST", "driver=nvidia": "error names no GPU", `"device=0`: "error quote",
		"count=all,device=0": "error all stands alone", "device=none,0": "error none stands alone", "0,all": "error all stands alone", "device=": "error names no GPU", `"device=0,"`: "error empty name", "0,,1": "error empty name",
	} {
		var l gpuList
		got := ""
		if err := l.Set(text); err != nil {
			got = "error " + err.Error()
		} else {
			got = l.String()
		}
		if wanted, failure := strings.CutPrefix(want, "error "); got != want && (!failure || !strings.Contains(got, wanted)) {
			t.Errorf("--gpus %s = %q, want %q", text, got, want)
		}
	}
}

func TestDevice(t *testing.T) {
	t.Parallel()
	var f runFlags
	for _, step := range []struct{ device, want string }{{"nvidia.com/gpu=0", "0"}, {"nvidia.com/gpu=GPU-1", "0,GPU-1"}, {"nvidia.com/gpu=all", "all"}} {
		if err := f.addDevice(step.device); err != nil || f.gpus.String() != step.want {
			t.Errorf("--device %s = %q, %v, want %q", step.device, f.gpus, err, step.want)
		}
	}
	for _, device := range []string{"/dev/fuse", "nvidia.com/gpu=", "nvidia.com/gpu=none", "nvidia.com/gpu=0,1", "vendor.com/net=0"} {
		if err := f.addDevice(device); err == nil {
			t.Errorf("--device %s is taken", device)
		}
	}
}

func TestUlimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]container.Ulimit{
		"memlock=-1": {Name: "memlock", Soft: -1, Hard: -1}, "nofile=1:2": {Name: "nofile", Soft: 1, Hard: 2}, "stack=67108864:-1": {Name: "stack", Soft: 67108864, Hard: -1},
	} {
		if got, err := parseUlimit(text); err != nil || got != want {
			t.Errorf("--ulimit %s = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "nofile", "nofile=", "nofile=1:", "nofile=-2", "nofile=2:1", "nofile=-1:2", "files=1", "nofile=99999999999999999999"} {
		if got, err := parseUlimit(text); err == nil {
			t.Errorf("--ulimit %s = %+v, want an error", text, got)
		}
	}
}
