// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"

	"github.com/cudabuild/cudabuild/verify/internal/dynelf"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// content is what is known about the bytes of a file.
type content struct {
	size  int64
	elf   *dynelf.Info // nil if it is no dynamic ELF file
	texts rules.Texts

	notELF bool // its first bytes say so
	opens  bool // the name of libcuda is in it, and nothing says that it is linked with glibc
}

// file is what the rules look at.
func (c content) file(p string, h *tar.Header) rules.File {
	return rules.File{Path: p, Type: h.Typeflag, Mode: h.Mode, Empty: c.size == 0 && h.Typeflag != tar.TypeFifo, ELF: c.elf, NotELF: c.notELF, Texts: c.texts}
}
