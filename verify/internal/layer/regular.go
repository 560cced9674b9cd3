// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"bytes"
	"io"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// regular examines a regular file by content and name. A record is read as one.
func (w *walker) regular(p string, h *tar.Header, body io.Reader) error {
	head := w.head[:min(sniff.Len, h.Size)]
	if _, err := io.ReadFull(body, head); err != nil {
		return err
	}
	body = io.MultiReader(bytes.NewReader(head), body)
	w.ambiguous(p, head)
	w.executables.file(p, h, head)
	if isLinkerConfig(p, head, h.Size) {
		var err error
		if body, err = w.linker.linkerConfig(p, body); err != nil {
			return err
		}
	}
	var c content
	k := sniff.Of(head)
	end := archive.NewTail(body, k, h.Size, w.held, w.budget.space)
	defer end.Close()
	isRecord, err := w.record(p, k == sniff.Other && !bytes.HasPrefix(head, []byte("\x7fELF")), w.depth > 0, head, h, end)
	switch {
	case isRecord || err != nil:
		c = content{size: h.Size, notELF: true}
	case k == sniff.Other:
		c, err = w.examine(p, h, end)
	case k == sniff.Object:
		c, err = w.stream(k, h, end)
	case k == sniff.Zip: // below
		c = content{size: h.Size, notELF: true}
	case k == sniff.Script:
		c, k, err = w.script(p, h, end)
	default:
		c, err = w.nested(p, k, h, end)
	}
	if err == nil {
		err = w.zipAt(p, k, end)
	}
	if err != nil {
		return err
	}
	if c.elf != nil {
		w.linker.object(p, c, w.rules.IsStubFile(c.elf))
	}
	if v, ok := CompatVersion(p); ok {
		w.code(Code{Path: p, Compat: v})
	}
	w.file(p, h, c)
	return nil
}

// ambiguous notes a file that loads as a program and unpacks as an archive: it is examined as a program.
func (w *walker) ambiguous(p string, head []byte) {
	if sniff.IsELF(head) && sniff.IsTar(head) {
		w.unreadable(p, "an ELF file and a tar archive at the same time")
	}
}
