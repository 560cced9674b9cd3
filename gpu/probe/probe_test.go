// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/gpu"
	"github.com/cudabuild/cudabuild/gpu/probe"
)

func TestHost(t *testing.T) {
	dir := t.TempDir()
	for name, says := range map[string]string{"runc": "runc version 1.5.2\nspec: 1.3.0", "nvidia-cdi-hook": "NVIDIA CDI Hook version 1.20.1", "nvidia-container-runtime": "no number"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\ncat <<'X'\n"+says+"\nX\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tools := probe.FindTools(dir)
	if missing := tools.Missing(); len(missing) > 0 {
		t.Errorf("missing %v", missing)
	}
	host := probe.Host(t.Context(), tools)
	if host.Runc != "1.5.2" || host.Hook != "1.20.1" || host.Runtime != "" || host.Kernel == "" || host.OS == "" || host.Cgroup == "" || host.GPUs == nil || host.Problems == nil {
		t.Errorf("host %+v", host)
	}
}

func TestFindToolsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if missing := probe.FindTools(t.TempDir()).Missing(); len(missing) != 3 || !strings.Contains(missing[0], "runc") {
		t.Errorf("missing %v, want all three", missing)
	}
	if err := probe.LoadKernelModules(t.Context()); err == nil || !strings.Contains(err.Error(), "nvidia-modprobe") {
		t.Errorf("LoadKernelModules: %v", err)
	}
}

func TestNodes(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "dev/nvidiactl"), nil, 0o600); err != nil { // a file is no device
		t.Fatal(err)
	}
	missing := strings.Join(probe.Nodes(root, []gpu.GPU{{Minor: 3}}), "\n")
	for _, want := range []string{"/dev/nvidiactl", "/dev/nvidia3", "--load-kmods"} {
		if !strings.Contains(missing, want) {
			t.Errorf("missing:\n%s\nwant %s", missing, want)
		}
	}
}
