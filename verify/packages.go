// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
)

// Limits of a package database. The biggest status files seen have 4 MB.
const (
	maxRecord     = 256 << 20
	maxRecordLine = 1 << 20
)

const dpkgInfo = "var/lib/dpkg/info/"

// owners knows which package of this layer a file belongs to, as far as the file
// looks like the driver's or was found to be.
type owners struct {
	version map[string]string // package -> version
	owner   map[string]string // path -> package
}

func newOwners() owners { return owners{version: map[string]string{}, owner: map[string]string{}} }

// record is one paragraph of a dpkg database.
type record struct{ name, version, status string }

// installed reports whether files of the package may be there: not for
// "deinstall ok config-files". A record without a status is of status.d.
func (r record) installed() bool {
	fields := strings.Fields(r.status)
	return r.name != "" && (len(fields) != 3 || fields[2] != "config-files" && fields[2] != "not-installed")
}

func (w *walker) dpkgStatus(p string, body io.Reader) error {
	set := packageSet{Path: p, Aside: w.depth == 0 && !isPlace(p)}
	var r record
	var why string
	flush := func() {
		switch {
		case r.installed():
			w.installed(&set, r.name, r.version)
		case r.name == "" && r != record{}:
			why = "a paragraph without a package"
		}
		r = record{}
	}
	err := w.lines(p, body, func(line string) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "":
			flush()
		case line[0] == ' ', line[0] == '\t': // goes on with the line before
		case !fieldName.MatchString(key), len(key) == len(line):
			why = "a line that is no field"
		case strings.EqualFold(key, "Package") && r.name != "":
			why = "two packages in one paragraph"
		case strings.EqualFold(key, "Package"):
			r.name = value
		case strings.EqualFold(key, "Version"):
			r.version = value
		case strings.EqualFold(key, "Status"):
			r.status = value
		}
	})
	flush()
	w.broken(set, why)
	w.packages(set)
	return err
}

// fieldName is the name of a field of a control file, which are printable characters.
var fieldName = regexp.MustCompile(`^[!-9;-~]+$`)

// packages keeps what a database lists of the driver.
func (w *walker) packages(set packageSet) {
	if len(set.Items) > 0 || set.Aside && w.text.take(len(set.Path)) {
		w.facts.Packages = append(w.facts.Packages, set)
	}
}

// dpkgList notes the package of each file that a rule may be about.
func (w *walker) dpkgList(p, pkg string, body io.Reader) error {
	pkg, _, _ = strings.Cut(pkg, ":") // libcuda1:amd64
	return w.lines(p, body, func(line string) {
		w.owns(pkg, clean(line))
	})
}

// installed notes a package that a database calls installed.
func (w *walker) installed(set *packageSet, name, version string) {
	if rule := w.rules.driverPackage(name, set.of); rule != nil {
		if w.text.take(len(set.Path) + len(name) + len(version)) {
			set.Items = append(set.Items, hit{rule.ID, strings.Clone(name), strings.Clone(version)})
		} else {
			w.dropped++
		}
	}
	if !set.Aside {
		w.version(name, version)
	}
}

// broken says that a database is not as its package manager writes it: what it lists is not known.
func (w *walker) broken(set packageSet, why string) {
	if why != "" && !set.Aside && set.Path != "" {
		w.unreadable(set.Path, "package record: "+why)
	}
}

// version notes the version of a package. What a long line holds beside it is not kept.
func (w *walker) version(name, version string) {
	if w.rooms.owners.take(len(name) + len(version)) {
		w.owners.version[strings.Clone(name)] = strings.Clone(version)
	}
}

// owns notes the package of a file that a rule may be about.
func (w *walker) owns(pkg, file string) {
	if w.ownable(file) && w.rooms.owners.take(len(file)+len(pkg)) {
		w.owners.owner[canonical(file)] = strings.Clone(pkg)
	}
}

// ownable reports whether a rule may be about a file.
func (w *walker) ownable(file string) bool {
	lib, _ := w.rules.libraryNamed(path.Base(file))
	_, hit := w.hitAt[file]
	return lib != nil || hit || strings.Contains(file, "nvidia") || w.watch.is(file)
}

// lines calls each for every line. A line or a file that is too long is recorded
// as unreadable; the error is that of the archive.
func (w *walker) lines(p string, body io.Reader, each func(string)) error {
	counted := &readers.Counter{R: body}
	scanner := bufio.NewScanner(counted)
	scanner.Buffer(nil, maxRecordLine)
	for scanner.Scan() {
		each(scanner.Text())
	}
	switch {
	case counted.Err != nil:
		return counted.Err
	case scanner.Err() != nil:
		w.unreadable(p, fmt.Sprintf("package record: %v", scanner.Err()))
	case counted.N >= maxRecord:
		w.unreadable(p, fmt.Sprintf("package record of more than %d bytes", maxRecord))
	}
	return nil
}

// nameOwners adds the owning package to the findings and links of the layer.
func (w *walker) nameOwners() {
	for i := range w.facts.Hits {
		h := &w.facts.Hits[i]
		h.Detail += w.ownedBy(h.Path)
	}
	for i := range w.facts.Links {
		w.facts.Links[i].Owner = w.ownedBy(w.facts.Links[i].Path)
	}
}

func (w *walker) ownedBy(p string) string {
	pkg := w.owners.owner[canonical(p)]
	if pkg == "" {
		return ""
	}
	return strings.TrimRight(fmt.Sprintf(", package %s %s", pkg, w.owners.version[pkg]), " ")
}

var mergedUsr = regexp.MustCompile(`^usr/(bin|sbin|lib[0-9x]*)(/|$)`)

// canonical names a file alike before and after the merge of /lib into /usr/lib.
func canonical(p string) string {
	if mergedUsr.MatchString(p) {
		return strings.TrimPrefix(p, "usr/")
	}
	return p
}
