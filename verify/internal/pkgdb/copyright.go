// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"bytes"
	"io"
	"path"
	"slices"
	"strings"
)

// What is kept of licences: a package with more or longer ones says nothing that could be listed.
const (
	maxLicenses = 100
	maxLicense  = 300 // bytes
)

// one is the list of a licence's name, none if it is no name.
func one(license string) []string {
	license = strings.TrimSpace(license)
	if license == "" || len(license) > maxLicense || strings.EqualFold(license, "UNKNOWN") {
		return nil
	}
	return []string{license}
}

// CopyrightDir is where Debian's packages have a folder each with the file copyright.
const CopyrightDir = "usr/share/doc"

// IsCopyright reports whether a file of a Debian package says in a form for programs which licences it has
// (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/).
func IsCopyright(p string, head []byte) bool {
	dir, base := path.Split(p)
	return base == "copyright" && path.Dir(path.Clean(dir)) == CopyrightDir && bytes.HasPrefix(head, []byte("Format:"))
}

// IsTextPlace reports whether a file is looked for at p, or in a folder that p is, whose content [Copyright] or
// [ReadRelease] reads.
func IsTextPlace(p string) bool {
	dir := path.Dir(p)
	return dir == CopyrightDir || path.Base(p) == "copyright" && path.Dir(dir) == CopyrightDir || IsRelease(p)
}

// Copyright returns the licences of a package's files in the words of the file, sorted; nil if it names none,
// or more than is kept.
func Copyright(r io.Reader) []string {
	var all, names []string    // names are those of this paragraph
	head, files := true, false // it is the first, it is about files; else it is the text of a licence
	flush := func() {
		if head || files {
			all = append(all, names...)
		}
		head, files, names = false, false, nil
	}
	err := lines(r, func(line string) {
		key, value, _ := strings.Cut(line, ":")
		switch {
		case strings.TrimSpace(line) == "":
			flush()
		case strings.EqualFold(key, "Files"):
			files = true
		case strings.EqualFold(key, "License"):
			names = append(names, strings.Join(strings.Fields(value), " "))
		}
	})
	flush()
	slices.Sort(all)
	all = slices.DeleteFunc(slices.Compact(all), func(name string) bool { return name == "" })
	if err != nil || len(all) == 0 || len(all) > maxLicenses || slices.ContainsFunc(all, func(name string) bool { return one(name) == nil }) {
		return nil
	}
	return all
}
