// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package session_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cudabuild/cudabuild/gpu/container"
	"github.com/cudabuild/cudabuild/gpu/host"
	"github.com/cudabuild/cudabuild/gpu/host/hosttest"
	"github.com/cudabuild/cudabuild/gpu/session"
	"github.com/cudabuild/cudabuild/internal/imagetest"
	"github.com/cudabuild/cudabuild/internal/standin"
)

// TestMain makes the test binary also the first process of its containers.
func TestMain(m *testing.M) { os.Exit(hosttest.Main(m)) }

// newHost is a host of two stand-in GPUs, of which request are used.
func newHost(t *testing.T, request string) *host.Host {
	t.Helper()
	h := hosttest.New(t, request)
	return &h
}

// picture is an image with this host's shell, in which libraries can be made known.
func picture(t *testing.T, env ...string) v1.Image {
	t.Helper()
	files, err := standin.Programs("sh")
	if err != nil {
		t.Fatal(err)
	}
	files["etc/ld.so.conf.d"] = imagetest.Entry{Dir: true}
	layer := imagetest.Layer(imagetest.Gzip, imagetest.Files(files))
	layer.Plain = true
	img, err := mutate.Config(imagetest.New(layer), v1.Config{Entrypoint: []string{"sh", "-c"}, Cmd: []string{"echo /dev/nvidia? /usr/lib/*/libcuda.so.*.*"}, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestRunGPUs: the program has the GPUs that were chosen, the driver with them, and
// nothing of either without.
func TestRunGPUs(t *testing.T) {
	libcuda := "/usr/lib/x86_64-linux-gnu/libcuda.so." + hosttest.Version
	for request, want := range map[string]string{
		"all": "/dev/nvidia0 /dev/nvidia1 " + libcuda, "1": "/dev/nvidia1 " + libcuda, "0000:00:00.0": "/dev/nvidia0 " + libcuda,
		"none": "/dev/nvidia? /usr/lib/*/libcuda.so.*.*",
	} {
		h := newHost(t, request)
		var out, err bytes.Buffer
		r := session.Request{Engine: container.Direct, Env: []string{"NVIDIA_VISIBLE_DEVICES=all"}}
		code, problem := session.Run(t.Context(), h, picture(t), r, container.Streams{Out: &out, Err: &err})
		if code != 0 || problem != nil || strings.TrimSpace(out.String()) != want {
			t.Errorf("GPUs %q: %d, %v, %q, %s want %q", request, code, problem, &out, &err, want)
		}
	}
}

// TestRunRefused: a requirement that does not hold is an error before anything is
// unpacked, unless no GPU is given or the user says otherwise.
func TestRunRefused(t *testing.T) {
	img := picture(t, "NVIDIA_REQUIRE_CUDA=cuda>=99.0")
	r := session.Request{Engine: container.Direct, Args: []string{"exit 5"}}
	h := newHost(t, "0")
	_, err := session.Run(t.Context(), h, img, r, container.Streams{})
	if !errors.Is(err, session.ErrRefused) || !strings.Contains(err.Error(), "cuda>=99.0") {
		t.Errorf("Run: %v, want ErrRefused and the term", err)
	}
	if found, _ := filepath.Glob(filepath.Join(h.Runner.Dir, "..", "..", "*", "roots", "[0-9a-f]*")); len(found) > 0 {
		t.Errorf("unpacked: %v", found)
	}
	nowhere := container.Streams{Out: io.Discard, Err: io.Discard}
	r.Env = []string{"NVIDIA_DISABLE_REQUIRE=true"}
	if code, err := session.Run(t.Context(), h, img, r, nowhere); code != 5 || err != nil {
		t.Errorf("with requirements disabled: %d, %v", code, err)
	}
	r.Env = nil
	if code, err := session.Run(t.Context(), newHost(t, "none"), img, r, nowhere); code != 5 || err != nil {
		t.Errorf("without a GPU: %d, %v", code, err)
	}
}
