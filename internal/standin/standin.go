// SPDX-License-Identifier: Apache-2.0

// Package standin stands in for what a machine without a GPU lacks, so that the code
// of the GPU stage runs there: [Sample] is a program that answers as the sample
// deviceQuery does without asking a GPU, [Programs] are programs of this host, such as
// a shell, for images, and [DriverRoot] is a folder that looks like an installed
// driver. What is seen with them is never an observation of a GPU.
package standin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// Sample returns the program, static. It is built once for all tests of a package.
func Sample(t testing.TB) []byte {
	t.Helper()
	data, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var build = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "cudabuild-standin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "deviceQuery")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-o", file, "github.com/cudabuild/cudabuild/internal/standin/sample")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the stand-in sample: %w: %s", err, out)
	}
	return os.ReadFile(file)
})

// libraries of a driver, with the names that the linker knows them by.
var libraries = []string{"libcuda.so", "libnvidia-ml.so", "libnvidia-ptxjitcompiler.so"}

// DriverRoot makes a folder with libraries of that driver version, which no program
// can use, and device nodes for that many GPUs, which are all /dev/null's. It needs
// root.
func DriverRoot(t testing.TB, version string, gpus int) string {
	t.Helper()
	root := t.TempDir()
	lib, dev := filepath.Join(root, "usr/lib/x86_64-linux-gnu"), filepath.Join(root, "dev")
	for _, dir := range []string{lib, dev} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range libraries {
		data := imagetest.ELF{SOName: name + ".1", Exports: []string{"cuInit"}, Exec: 4096, Sections: true}.Bytes()
		if err := os.WriteFile(filepath.Join(lib, name+"."+version), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	nodes := []string{"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"}
	for i := range gpus {
		nodes = append(nodes, fmt.Sprintf("nvidia%d", i))
	}
	for _, node := range nodes {
		if err := unix.Mknod(filepath.Join(dev, node), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
