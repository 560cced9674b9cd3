// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// script examines a script, and with Options.Nested the archive behind it, if there is one: an
// installer that unpacks itself, but not a zip, which is known by its end. It returns what
// the file is.
func (w *walker) script(p string, h *tar.Header, body io.Reader) (c content, k sniff.Kind, err error) {
	if !w.opts.Nested {
		c, err = w.stream(sniff.Script, h, body)
		return c, sniff.Script, err
	}
	buf := rules.Windows.Get().(*[rules.StreamWindow]byte)
	defer rules.Windows.Put(buf)
	n, err := readers.Fill(body, buf[:])
	if err != nil && !errors.Is(err, io.EOF) {
		return c, sniff.Script, err
	}
	start := buf[:n]
	if c, err = w.stream(sniff.Script, h, bytes.NewReader(start)); err != nil {
		return c, sniff.Script, err
	}
	k, at := archive.Payload(start)
	if at > 0 && k != sniff.Zip {
		_, err = w.nested(p, k, &tar.Header{Size: h.Size - int64(at)}, io.MultiReader(bytes.NewReader(start[at:]), body))
	}
	return c, k, err
}
