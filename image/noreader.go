// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cudabuild/cudabuild/internal/files"
)

// NoReaderError is an image in a form that is not read here, but that others convert.
type NoReaderError struct {
	Name    string
	Kind    string
	Convert string // the command that makes a file of it that can be read
}

func (e *NoReaderError) Error() string {
	return fmt.Sprintf("%s is %s, for which there is no reader", e.Name, e.Kind)
}

// Hint is the command that makes a file of it that can be read.
func (e *NoReaderError) Hint() string {
	return "convert it, if what it was made from is not at hand: " + e.Convert
}

// noReaders are the files that tell what they are by their first bytes. FILE, DIR, OUT
// and NAME stand in commands for the file, a new folder beside it, a new file beside it,
// and any name of an image.
var noReaders = []struct {
	at                   int
	magic, kind, convert string
}{
	{32, "SIF_MAGIC\x00", "an image of Apptainer (SIF)", "apptainer build --sandbox DIR FILE && tar -C DIR -c . | docker import - NAME && docker save -o OUT NAME"},
	{0, "hsqs", "a squashfs", "unsquashfs -d DIR FILE && tar -C DIR -c . | docker import - NAME && docker save -o OUT NAME"},
	{0, "\x1f\x8b", "compressed by gzip", "gunzip -c FILE >OUT"},
	{0, "\x28\xb5\x2f\xfd", "compressed by zstd", "unzstd -c FILE >OUT"},
	{0, "\xfd7zXZ\x00", "compressed by xz", "xz -dc FILE >OUT"},
}

const (
	rootKind   = "the files of a container (docker export) and no image"
	rootImport = "docker import FILE NAME && docker save -o OUT NAME"
	dirKind    = "an unpacked root file system and no image"
	dirImport  = "tar -C FILE -c . | docker import - NAME && docker save -o OUT NAME"
)

// noReader returns a [*NoReaderError] for what it knows, else nil.
func noReader(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if isRoot(func(top string) bool { _, err := os.Lstat(filepath.Join(name, top)); return err == nil }) {
			return newNoReader(name, dirKind, dirImport)
		}
		return nil
	}
	f, err := files.Open(name)
	if err != nil {
		return nil //nolint:nilerr // whoever reads it will say so
	}
	defer f.Close()
	var head [64]byte
	n, _ := f.ReadAt(head[:], 0)
	for _, k := range noReaders {
		if strings.HasPrefix(string(head[min(k.at, n):n]), k.magic) {
			return newNoReader(name, k.kind, k.convert)
		}
	}
	a, err := openArchive(name)
	if err != nil {
		return nil //nolint:nilerr // the same
	}
	defer a.Close()
	if isRoot(a.hasTop) {
		return newNoReader(name, rootKind, rootImport)
	}
	return nil
}

// hasTop reports whether the archive has something of that name at its top.
func (a *tarArchive) hasTop(top string) bool {
	for name := range a.members {
		if first, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/"); first == top {
			return true
		}
	}
	return false
}

// isRoot reports whether these are the files of a container.
func isRoot(has func(top string) bool) bool {
	if has("manifest.json") || has("index.json") || has("oci-layout") {
		return false
	}
	return has("etc") || has("usr") || has("bin")
}

func newNoReader(name, kind, convert string) error {
	base, _, _ := strings.Cut(filepath.Base(name), ".")
	fill := strings.NewReplacer("FILE", name, "DIR", base+".rootfs", "OUT", base+".image.tar", "NAME", strings.ToLower(base))
	return &NoReaderError{name, kind, fill.Replace(convert)}
}
