// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"io"

	"github.com/cudabuild/cudabuild/verify/internal/archive"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rpmdb"
)

// rpm examines an RPM package: which one it is and the names of its files, which its
// header lists, and their content with Options.Nested.
func (w *walker) rpm(r io.Reader) error {
	header, payload, err := archive.RPM(r)
	if err != nil {
		return err
	}
	pkg, err := rpmdb.Parse(header)
	if err != nil {
		return err
	}
	set := PackageSet{of: pkgdb.RPM}
	w.installed(&set, listedRPM(pkg))
	w.packages(set)
	if w.opts.Nested {
		return w.payload(payload, w.files(archive.Cpio))
	}
	pkg.Files(func(name string) { w.name(name, false) })
	return nil
}
