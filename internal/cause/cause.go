// SPDX-License-Identifier: Apache-2.0

// Package cause finds why a package manager failed in what it printed.
//
// [Find] reads the output of apt, yum, dnf, zypper, dpkg or mmdebstrap and returns the
// first real cause: which package, which address, what was wrong with it, and what to do
// next. The last line, which all of them end with, says none of that. [Of] does the same
// for the error of a download of our own.
//
// What is known stands in two tables, forms and kinds. An output that fits none has no
// cause, and the caller shows what it would have shown.
package cause

import (
	"cmp"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Error is a cause.
type Error struct {
	Package string // name and version as far as they are known, "" if it is no package's
	Address string // of the file, "" if it is no file's; without a login
	Detail  string // in the words of the program

	kind
}

func (e *Error) Error() string {
	text := e.says
	if e.Detail != "" && e.Detail != e.says {
		text += " (" + e.Detail + ")"
	}
	if e.Address != "" {
		text += ": " + e.Address
	}
	if e.Package != "" {
		text = "package " + e.Package + ": " + text
	}
	return text
}

// Hint is what to do next.
func (e *Error) Hint() string { return e.hint }

// Outage reports whether it is no fault of the image: nothing can be said of it before
// the network, a server, a login or a disk is as it should be.
func (e *Error) Outage() bool { return e.outage }

// Unwrap is the system's name of the condition, if it has one.
func (e *Error) Unwrap() error { return e.err }

// Find returns the first cause that an output tells, or nil.
func Find(output string) *Error {
	for _, group := range forms {
		for line := range strings.Lines(output) {
			for _, f := range group {
				if e := f.read(strings.TrimRight(line, "\r\n")); e != nil {
					return e
				}
			}
		}
	}
	return nil
}

// Of tells what the error of a download of that address means. It always returns one.
func Of(address string, err error) *Error {
	e := &Error{Address: Hide(address), Detail: Hide(err.Error()), kind: kindOf(err.Error())}
	if _, rest, ok := strings.Cut(e.Detail, `": `); ok && strings.HasPrefix(e.Detail, `Get "`) { // net/http names the address too
		e.Detail = rest
	}
	return e.named(address)
}

// named adds the package that an address is of. Where it is of none, its absence says
// nothing of a version.
func (e *Error) named(file string) *Error {
	e.Package = cmp.Or(e.Package, packageOf(file))
	if e.Package == "" && e.says == kinds["gone"].says {
		e.kind = kinds["no file"]
	}
	return e
}

// read returns what a line of that form tells.
func (f form) read(line string) *Error {
	parts := f.pattern.FindStringSubmatch(line)
	if parts == nil {
		return nil
	}
	part := func(name string) string {
		if i := f.pattern.SubexpIndex(name); i >= 0 {
			return strings.TrimSpace(Hide(parts[i]))
		}
		return ""
	}
	if version := part("version"); version != "" && slices.Contains(strings.Fields(part("have")), version) {
		return nil // it is there: something else went wrong with it
	}
	e := &Error{Package: part("package"), Address: part("address"), Detail: detail(part("why"))}
	if e.kind = kindOf(e.Detail); f.kind != "" {
		e.kind = kinds[f.kind]
	}
	return e.named(cmp.Or(part("file"), e.Address))
}

// detail leaves out what apt says of the connection beside the cause.
func detail(why string) string {
	why, _, _ = strings.Cut(why, " [IP: ")
	return strings.Join(strings.Fields(why), " ")
}

// packageOf is the name and the version in the name of a package's file.
func packageOf(address string) string {
	name, err := url.PathUnescape(path.Base(address))
	if err != nil {
		return ""
	}
	if base, ok := strings.CutSuffix(name, ".deb"); ok {
		if parts := strings.Split(base, "_"); len(parts) == 3 {
			return parts[0] + " " + parts[1]
		}
	}
	if parts := rpmName.FindStringSubmatch(name); parts != nil {
		return parts[1] + " " + parts[2]
	}
	return ""
}

var (
	rpmName = regexp.MustCompile(`^(.+)-([^-]+-[^-]+)\.[a-z0-9_]+\.rpm$`)
	login   = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/"']*@`)
	bare    = regexp.MustCompile(`^[^\s/"':]+:[^\s/"']*@`)
)

// Hide returns the text with the login of every address in it made unreadable.
func Hide(text string) string {
	return bare.ReplaceAllString(login.ReplaceAllString(text, "${1}***@"), "***@")
}

func kindOf(why string) kind {
	for _, w := range words {
		if w.pattern.MatchString(why) {
			return kinds[w.kind]
		}
	}
	return kinds["other"]
}
