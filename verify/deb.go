// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// maxControl bounds the control file of a package.
const maxControl = 1 << 20

// ar examines an archive of that kind. A Debian package is one (deb(5)), of
// debian-binary, control.tar.* and data.tar.*: which one it is, and its files with
// Options.Nested. dpkg wants debian-binary first; other tools do not ask for it.
func (w *walker) ar(r io.Reader) error {
	buf := bufio.NewReader(r)
	if _, err := buf.Discard(len(sniff.ArMagic)); err != nil {
		return err
	}
	for {
		name, size, err := arHeader(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		member := io.LimitReader(buf, size)
		switch {
		case strings.HasPrefix(name, "control.tar"):
			err = w.payload(member, w.control)
		case strings.HasPrefix(name, "data.tar") && w.opts.Nested:
			err = w.payload(member, w.tars)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, err := io.CopyN(io.Discard, buf, member.(*io.LimitedReader).N+size&1); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// oldDeb examines a Debian package as they were before 1995 (deb-old(5)): a version, the
// length of control.tar.gz, both in lines of their own, and then that and the files.
func (w *walker) oldDeb(r io.Reader) error {
	buf := bufio.NewReader(r)
	var version, size int64
	if _, err := fmt.Fscanf(buf, "0.%d\n%d\n", &version, &size); err != nil {
		return err
	}
	control := io.LimitReader(buf, size)
	if err := w.payload(control, w.control); err != nil || !w.opts.Nested {
		return err
	}
	if _, err := io.Copy(io.Discard, control); err != nil {
		return err
	}
	return w.payload(buf, w.tars)
}

// arHeader reads the 60 bytes before each member of an ar archive.
func arHeader(r io.Reader) (name string, size int64, err error) {
	var b [60]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", 0, err
	}
	size, err = strconv.ParseInt(strings.TrimSpace(string(b[48:58])), 10, 64)
	if err != nil || size < 0 || string(b[58:]) != "`\n" {
		return "", 0, errors.New("not a member of an ar archive")
	}
	return strings.TrimRight(string(b[:16]), " /"), size, nil
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
	return use(&decodedReader{dec, &w.left.archives})
}

// control reads the name and version of a package from its control.tar.
func (w *walker) control(r io.Reader) error {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err != nil {
			return err
		}
		if path.Clean(h.Name) == "control" {
			return w.dpkgStatus("", io.LimitReader(archive, maxControl))
		}
	}
}
