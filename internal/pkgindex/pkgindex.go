// SPDX-License-Identifier: Apache-2.0

// Package pkgindex reads the lists of packages that repositories publish: Packages of
// Debian's format and primary.xml of rpm's.
//
// [Deb] and [RPM] read one package after the other from an uncompressed stream, so a list of
// 100 MB takes no more memory than its largest entry, which is bounded. They check neither
// signature nor sum: who calls them has read the stream by a sum that is signed. What they
// return can be printed and compared as it is: words of printable ASCII without spaces.
package pkgindex

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"regexp"
)

// Package is one entry of a list.
type Package struct {
	Name string
	// Version is a deb's whole version, "1:2.36-9", or an rpm's version and release
	// without the epoch, "13.4.51-1".
	Version string
	Arch    string // in the words of the packages: amd64, all; x86_64, noarch
	SHA256  string // of the file, 64 lower-case hexadecimal digits; "" if the list has another sum
	Size    int64  // of the file, in bytes
	File    string // below the root that the list is of: "./cuda-cudart-13-4_13.4.51-1_amd64.deb"
	// Provides is what else a deb counts as, in its own words: "libcuda1 (= 1.2), libcuda-any". Of rpms it is not read.
	Provides string
}

// A Reader is [Deb] or [RPM]. The sequence ends with the list or with the first error,
// which comes with no package.
type Reader func(list io.Reader) iter.Seq2[Package, error]

// maxEntry bounds one entry, in bytes. The largest seen, of a kernel with all it provides,
// has less than a tenth of it.
const maxEntry = 8 << 20

var (
	word   = regexp.MustCompile(`^[!-~]+$`)
	sha256 = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// check returns an error for an entry that could mislead who prints or compares it.
func (p Package) check() error {
	for _, part := range []struct{ what, value string }{
		{"name", p.Name}, {"version", p.Version}, {"architecture", p.Arch}, {"file", p.File},
	} {
		if !word.MatchString(part.value) {
			return fmt.Errorf("package %q: %s %q is not one word", cmp.Or(p.Name, "?"), part.what, short(part.value))
		}
	}
	if p.SHA256 != "" && !sha256.MatchString(p.SHA256) {
		return fmt.Errorf("package %q: sha256 %q is not one", p.Name, short(p.SHA256))
	}
	if p.Size < 0 {
		return fmt.Errorf("package %q: size %d", p.Name, p.Size)
	}
	return nil
}

func short(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
