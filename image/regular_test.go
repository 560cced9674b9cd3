// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"golang.org/x/sys/unix"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/files"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// TestPipes: what is no regular file is refused at once, wherever it lies; nobody
// writes to these pipes.
func TestPipes(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	index, blob := t.TempDir(), t.TempDir()
	img := imagetest.New(layer(imagetest.Gzip, "x"))
	path, err := layout.Write(blob, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	name, err := img.ConfigName()
	if err := errors.Join(err, path.AppendImage(img)); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(blob, "blobs", "sha256", name.Hex)
	for _, file := range []string{filepath.Join(index, "index.json"), config} {
		_ = os.Remove(file)
		if err := unix.Mkfifo(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for ref, want := range map[string]string{
		"docker-archive:" + pipe:   pipe + " is a pipe, not a file",
		"oci-archive:" + pipe:      pipe + " is a pipe, not a file",
		"docker-archive:/dev/null": "/dev/null is a device, not a file",
		"docker-archive:" + index:  index + " is a folder, not a file",
		"oci:" + index:             filepath.Join(index, "index.json") + " is a pipe, not a file",
		"oci:" + blob:              config + " is a pipe, not a file",
	} {
		_, _, err := image.Open(t.Context(), ref, image.OpenOptions{Platform: "linux/amd64"}) // which the config tells
		var irregular *files.NotRegularError
		if !errors.As(err, &irregular) || irregular.Error() != want {
			t.Errorf("Open(%s): %v, want %s", ref, err, want)
		}
	}
}
