// SPDX-License-Identifier: Apache-2.0

// Package pkgdb reads what package managers keep of what is installed: which packages, and
// which files they brought; and what texts beside them say of licences ([Copyright], [Metadata]). [Find] says what a file is, and [Database.Read] tells all that is in it to a [Sink],
// as it is read: nothing is kept here. Databases of RPM are held in memory and read by package rpmdb.
package pkgdb

import (
	"bufio"
	"io"
)

// Package is one package as a database has it. What the database does not say is empty.
type Package struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Arch     string   `json:"arch,omitempty"`     // in the words of the package manager
	Source   string   `json:"source,omitempty"`   // what it was made of; dpkg says nothing where that has the package's name
	Licenses []string `json:"licenses,omitempty"` // in the words of the database; all of them apply
}

// Sink is told what a database holds.
type Sink struct {
	Installed func(Package)              // a package that is installed
	Known     func(name, version string) // one that another database calls installed, or is to
	Owns      func(pkg, file string)     // a file that a package brought, from the root of the image; "" is the next that is installed
}

// Database is one file of a package manager's.
type Database struct {
	Of Manager
	// Aside says that it lies where no manager keeps one: it counts only if a link leads to it, and
	// its files are not known.
	Aside bool
	Own   bool                            // it is that of the package that it is in
	read  func(r io.Reader, s Sink) error // nil for RPM
}

// Read reads a database other than RPM's to its end. An error is that of r, [DamagedError] for a database
// that its package manager would not have written so, or says that something is longer than is read.
func (d Database) Read(r io.Reader, s Sink) error {
	if d.Aside {
		s.Owns = func(string, string) {}
	}
	return d.read(r, s)
}

// DamagedError says what a database has that its package manager writes otherwise.
type DamagedError string

func (e DamagedError) Error() string { return string(e) }

// maxLine bounds a line, in bytes.
const maxLine = 1 << 20

// lines calls each for every line.
func lines(r io.Reader, each func(line string)) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		each(scanner.Text())
	}
	return scanner.Err()
}

// damaged is err, or that of a database with something wrong with it; "" is nothing.
func damaged(err error, why string) error {
	if err == nil && why != "" {
		return DamagedError(why)
	}
	return err
}
