// SPDX-License-Identifier: Apache-2.0

// Package pkgdb reads what package managers keep of what is installed: which packages, and
// which files they brought. Nothing is kept here: each package and each file is told to the
// caller, as it is read. Databases of RPM are package rpmdb's; which to call is decided in
// databases.go of package layer.
//
// An error is that of the reader, [DamagedError] for a database that its package manager
// would not have written so, or says that something is longer than is read.
package pkgdb

import (
	"bufio"
	"io"
)

// DamagedError says what a database has that its package manager writes otherwise.
type DamagedError string

func (e DamagedError) Error() string { return string(e) }

// maxLine bounds a line, in bytes.
const maxLine = 1 << 20

// Lines calls each for every line.
func Lines(r io.Reader, each func(line string)) error {
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
