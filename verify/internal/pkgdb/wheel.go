// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"cmp"
	"io"
	"path"
	"strings"
)

// wheelRecord reads the file RECORD in a folder NAME-VERSION.dist-info: a line for each file of a Python
// package, from the folder that this one is in. Wheels that were repaired carry copies of libraries, libcuda among them.
func wheelRecord(dir string) func(io.Reader, Sink) error {
	name, version := splitWheel(dir)
	return func(r io.Reader, s Sink) error {
		s.Known(name, version)
		return lines(r, func(line string) {
			file, _, _ := strings.Cut(line, ",")
			s.Owns(name, path.Dir(dir)+"/"+file)
		})
	}
}

func splitWheel(dir string) (name, version string) {
	name, version, _ = strings.Cut(strings.TrimSuffix(path.Base(dir), ".dist-info"), "-")
	return name, version
}

// MetadataDir returns the folder of the package that a file is the METADATA of.
func MetadataDir(p string) (dir string, ok bool) {
	dir, base := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	return dir, base == "METADATA" && strings.HasSuffix(dir, ".dist-info")
}

// Metadata reads METADATA in a folder NAME-VERSION.dist-info: fields, and behind an empty line a text. What it does not
// say, or in a form that is not read, the folder says.
func Metadata(dir string, r io.Reader) Package {
	var p Package
	p.Name, p.Version = splitWheel(dir)
	var license, last string
	_ = lines(r, func(line string) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case last == "end" || line == "":
			last = "end"
			return
		case line[0] == ' ' || line[0] == '\t':
			if last == "license" { // a whole text, not a name
				license = ""
			}
			return
		}
		last = strings.ToLower(key)
		switch last {
		case "name":
			p.Name = cmp.Or(value, p.Name)
		case "version":
			p.Version = cmp.Or(value, p.Version)
		case "license":
			license = value
		case "license-expression":
			p.Licenses = one(value)
		}
	})
	if p.Licenses == nil {
		p.Licenses = one(license)
	}
	return p
}
