// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"bufio"
	"io"
	"path"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// maxControl bounds the control file of a package.
const maxControl = 1 << 20

// ar examines an archive of that kind. A Debian package is one (deb(5)), of
// debian-binary, control.tar.* and data.tar.*: which one it is, and its files with
// Options.Nested. dpkg wants debian-binary first; other tools do not ask for it.
func (w *walker) ar(r io.Reader) error {
	return archive.Ar(r, func(name string, member io.Reader) error {
		switch {
		case strings.HasPrefix(name, "control.tar"):
			return w.payload(member, w.control)
		case strings.HasPrefix(name, "data.tar") && w.opts.Nested:
			return w.payload(member, w.files(archive.Tars))
		}
		return nil
	})
}

// files examines what an archive holds that goes through as is told.
func (w *walker) files(through func(io.Reader, archive.Visit) error) func(io.Reader) error {
	return func(r io.Reader) error { return through(r, w.visit) }
}

// payload decodes what r holds, compressed or not, and hands it to use.
func (w *walker) payload(r io.Reader, use func(io.Reader) error) error {
	buf := bufio.NewReaderSize(r, sniff.Len)
	head, _ := buf.Peek(sniff.Len) // fewer bytes are no error yet
	k := sniff.Of(head)
	switch {
	case k == sniff.Sealed:
		return errSealed
	case !k.Compressed():
		return use(buf)
	}
	dec, done, err := w.decompress(k, buf)
	if err != nil {
		return err
	}
	defer done()
	return use(w.budget.decoded(dec))
}

// control reads the name and version of a package from its control.tar.
func (w *walker) control(r io.Reader) error {
	files := tar.NewReader(r)
	for {
		h, err := files.Next()
		if err != nil {
			return err
		}
		if path.Clean(h.Name) == "control" {
			return w.database("", pkgdb.DebControl, io.LimitReader(files, maxControl))
		}
	}
}
