// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cudabuild/cudabuild/image"
	"github.com/cudabuild/cudabuild/internal/imagetest"
)

// TestNoReader: files that hold an image in a form that is not read name the command
// that makes one of it that is.
func TestNoReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rootfs := map[string]imagetest.Entry{"etc/os-release": {Data: "ID=debian\n"}, "usr/bin/env": {Data: "x"}, "bin": {Symlink: "usr/bin"}}
	sif := "#!/usr/bin/env run-singularity\n"
	sif += strings.Repeat("\x00", 32-len(sif)) + "SIF_MAGIC\x0001\x00" + strings.Repeat("\x00", 4096)
	for name, tc := range map[string]struct {
		data []byte
		says string
	}{
		"app.sif":       {[]byte(sif), "apptainer build --sandbox"},
		"app.sqsh":      {[]byte("hsqs" + strings.Repeat("\x00", 4096)), "unsquashfs -d"},
		"export.tar":    {imagetest.Files(rootfs), "docker import"},
		"export":        {imagetest.Files(map[string]imagetest.Entry{"./usr/lib/os-release": {Data: "x"}}), "docker import"},
		"export.tgz":    {imagetest.Encode(imagetest.Gzip, imagetest.Files(rootfs)), "gunzip"},
		"saved.tar.zst": {imagetest.Encode(imagetest.Zstd, imagetest.Files(rootfs)), "unzstd"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, tc.data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, transport := range []string{"", "docker-archive:", "oci-archive:", "oci:"} {
			_, err := open(t, transport+file, image.OpenOptions{})
			var none *image.NoReaderError
			if !errors.As(err, &none) || !strings.Contains(none.Convert, tc.says) || !strings.Contains(none.Convert, file) {
				t.Errorf("%s%s: %v, want a NoReaderError with %q", transport, name, err, tc.says)
			}
		}
	}
	unpacked := filepath.Join(dir, "rootfs")
	if err := os.MkdirAll(filepath.Join(unpacked, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, "oci:"+unpacked, image.OpenOptions{})
	var none *image.NoReaderError
	if !errors.As(err, &none) || !strings.Contains(none.Convert, "docker import") {
		t.Errorf("an unpacked root file system: %v", err)
	}
}
