// SPDX-License-Identifier: Apache-2.0

package pkgdb

import "regexp"

// portageFile is what Gentoo has for each package: a folder CATEGORY/NAME-VERSION.
var portageFile = regexp.MustCompile(`^pkg/([^/]+/([^/]+?)-([0-9][^/]*))/[^/]+$`)

// PortagePackage returns the package that a file of portage's database is about, by its path, and the
// folder of that package.
func PortagePackage(p string) (folder, name, version string, ok bool) {
	of, rest := Of(p)
	m := portageFile.FindStringSubmatch(rest)
	if of != Portage || m == nil {
		return "", "", "", false
	}
	return m[1], m[2], m[3], true
}
