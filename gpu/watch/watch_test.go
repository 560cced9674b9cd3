// SPDX-License-Identifier: Apache-2.0

package watch_test

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/gpu/watch"
	"github.com/cudabuild/cudabuild/internal/require"
)

// TestWatch has folders like those of /proc, of processes that come one after the other.
func TestWatch(t *testing.T) {
	t.Parallel()
	process := func(maps string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "maps"), []byte(maps), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const line = "7f0000000000-7f0000001000 r-xp 00000000 08:01 42                         "
	turns := [][]string{
		nil, // not begun
		{t.TempDir(), process(line + "/usr/lib/libcudart.so.12\n" + line + "[heap]\n\n")}, // the first has ended
		{process(line + "/usr/lib/a b/libcuda.so.580.159.04\n")},
		{process(line + "/usr/lib/libnvidia-ptxjitcompiler.so.1\n")},
	}
	var turn atomic.Int32
	w := watch.Start(func() []string { return turns[min(int(turn.Add(1)), len(turns))-1] })
	for begun := time.Now(); int(turn.Load()) <= len(turns) && time.Since(begun) < time.Minute; {
		time.Sleep(time.Millisecond)
	}
	want := watch.Seen{Libcuda: "/usr/lib/a b/libcuda.so.580.159.04", JIT: true}
	if diff := cmp.Diff(want, w.Stop()); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, node := range []string{"nvidia0", "nvidiactl", "nvidia-caps/nvidia-cap1", "dri/renderD128", "null"} {
		file := filepath.Join(root, "dev", node)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mknod(file, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
			require.Missing(t, "root", err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "dev/nvidia1"), nil, 0o600); err != nil { // no device
		t.Fatal(err)
	}
	want := []string{"/dev/dri/renderD128", "/dev/nvidia-caps/nvidia-cap1", "/dev/nvidia0", "/dev/nvidiactl"}
	if diff := cmp.Diff(want, watch.Devices(root)); diff != "" {
		t.Errorf("device nodes (-want +got):\n%s", diff)
	}
}
