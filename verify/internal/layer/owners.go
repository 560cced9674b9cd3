// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/readers"
)

// Limits of a package database. The biggest status files seen have 4 MB.
const (
	maxRecord = 256 << 20
)

// owners knows which package of this layer a file belongs to, as far as the file
// looks like the driver's or was found to be.
type owners struct {
	version map[string]string // package -> version
	owner   map[string]string // path -> package
}

func newOwners() owners { return owners{version: map[string]string{}, owner: map[string]string{}} }

// packages keeps what a database lists of the driver.
func (b *builder) packages(set PackageSet) {
	if len(set.Items) > 0 || set.Aside && b.budget.text.keep(len(set.Path)) {
		b.facts.Packages = append(b.facts.Packages, set)
	}
	if set.list.Packages != nil && set.Counts() {
		b.inventory.Databases = append(b.inventory.Databases, set.list)
	}
}

// installed notes a package that a database calls installed.
func (b *builder) installed(set *PackageSet, p pkgdb.Package) {
	if rule := b.rules.DriverPackage(p.Name, string(set.of)); rule != nil {
		if b.budget.text.keep(len(set.Path) + len(p.Name) + len(p.Version)) {
			set.Items = append(set.Items, Hit{rule.ID, strings.Clone(p.Name), strings.Clone(p.Version)})
		} else {
			b.dropped++
		}
	}
	if set.Counts() {
		b.list(set, p)
	}
	if !set.Aside {
		b.version(p.Name, p.Version)
	}
}

// version notes the version of a package. What a long line holds beside it is not kept.
func (b *builder) version(name, version string) {
	if b.budget.owners.keep(len(name) + len(version)) {
		b.owners.version[strings.Clone(name)] = strings.Clone(version)
	}
}

// owns notes the package of a file that a rule may be about.
func (b *builder) owns(pkg, file string) {
	if b.ownable(file) && b.budget.owners.keep(len(file)+len(pkg)) {
		b.owners.owner[canonical(file)] = strings.Clone(pkg)
	}
}

// ownable reports whether a rule may be about a file.
func (b *builder) ownable(file string) bool {
	lib, _ := b.rules.LibraryNamed(path.Base(file))
	_, hit := b.hitAt[file]
	return lib != nil || hit || strings.Contains(file, "nvidia") || b.recorder.is(file)
}

// readRecord has parse read a record at p. What is wrong with the record is a finding, but for
// damage where aside: what is not at the place of a record may be none. The error is that of body.
func (b *builder) readRecord(p string, body io.Reader, aside bool, parse func(io.Reader) error) error {
	counted := &readers.Counter{R: io.LimitReader(body, maxRecord)}
	err := parse(counted)
	var damaged pkgdb.DamagedError
	if errors.As(err, &damaged) && (aside || p == "") {
		err = nil
	}
	switch {
	case counted.Err != nil:
		return counted.Err
	case err != nil:
		b.unreadable(p, fmt.Sprintf("package record: %v", err))
	case counted.N >= maxRecord:
		b.unreadable(p, fmt.Sprintf("package record of more than %d bytes", maxRecord))
	}
	return nil
}

// nameOwners adds the owning package to the findings and links of the layer.
func (b *builder) nameOwners() {
	for i := range b.facts.Hits {
		h := &b.facts.Hits[i]
		h.Detail += b.ownedBy(h.Path)
	}
	for i := range b.facts.Links {
		b.facts.Links[i].Owner = b.ownedBy(b.facts.Links[i].Path)
	}
}

func (b *builder) ownedBy(p string) string {
	pkg := b.owners.owner[canonical(p)]
	if pkg == "" {
		return ""
	}
	return strings.TrimRight(fmt.Sprintf(", package %s %s", pkg, b.owners.version[pkg]), " ")
}

var mergedUsr = regexp.MustCompile(`^usr/(bin|sbin|lib[0-9x]*)(/|$)`)

// canonical names a file alike before and after the merge of /lib into /usr/lib.
func canonical(p string) string {
	if mergedUsr.MatchString(p) {
		return strings.TrimPrefix(p, "usr/")
	}
	return p
}
