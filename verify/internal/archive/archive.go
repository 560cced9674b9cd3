// SPDX-License-Identifier: Apache-2.0

// Package archive goes through archives: tar, cpio, ar, zip, and the parts of the packages of
// Debian and RPM.
package archive

import (
	"archive/tar"
	"bytes"
	"io"

	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// Visit is called for an entry. It need not read body to its end.
type Visit func(h *tar.Header, body io.Reader) error

// MaxName is the longest name of an entry that is read, in bytes: PATH_MAX; archive/tar allows 1 MiB.
const MaxName = 4096

// Payload returns where an archive begins in a script, 0 if there is none: after a newline.
func Payload(script []byte) (sniff.Kind, int) {
	for at := 0; ; {
		line := bytes.IndexByte(script[at:], '\n')
		if line < 0 {
			return sniff.Script, 0
		}
		at += line + 1
		if k := sniff.Of(script[at:min(len(script), at+sniff.Len)]); k == sniff.Zip || k == sniff.Tar || k.Compressed() {
			return k, at
		}
	}
}
