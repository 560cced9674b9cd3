// SPDX-License-Identifier: Apache-2.0

package pkgdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
)

// Limits of the record of one conda package. It is read as it streams by: only
// a text in it is held.
const (
	maxConda      = 32 << 20
	maxCondaDepth = 100
)

// condaName is NAME-VERSION-BUILD.
var condaName = regexp.MustCompile(`-.*-.*\.json$`)

// condaRecord is what conda-meta/NAME.json says. Its fields may come in any order.
type condaRecord struct {
	Package

	named bool // there is a key "name"
	depth int
	key   *string // of the outermost object, nil between two
}

var errLong = fmt.Errorf("more than %d bytes", maxConda)

// condaMetaFile reads conda-meta/NAME-VERSION-BUILD.json, the record of one package, whose files lie in the folder
// above. Files of other names, history.json and the like, are often no records, which is no error.
func condaMetaFile(p string) func(io.Reader, Sink) error {
	return func(r io.Reader, s Sink) error {
		limited := &io.LimitedReader{R: r, N: maxConda}
		var record condaRecord
		err := record.read(json.NewDecoder(limited), func(file string) { s.Owns("", path.Dir(path.Dir(p))+"/"+file) })
		switch {
		case limited.N == 0:
			return errLong
		case err == nil && record.Name == "":
			err = errors.New("no name")
		}
		switch {
		case err == nil:
			s.Installed(record.Package)
		case !condaName.MatchString(path.Base(p)):
			return nil
		}
		return err
	}
}

// read reads a document that is one object and calls file for each of its files.
func (r *condaRecord) read(dec *json.Decoder, file func(string)) error {
	if err := r.object(dec, file); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something behind the object")
	}
	return nil
}

// object reads one object to its end.
func (r *condaRecord) object(dec *json.Decoder, file func(string)) error {
	for {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case json.Delim:
			if done, err := r.delim(t); done || err != nil {
				return err
			}
			continue
		case string:
			if r.depth == 1 && r.key == nil {
				r.key = &t
				if t == "name" && r.named {
					return errors.New("two names")
				}
				r.named = r.named || t == "name"
				continue
			}
			r.text(t, file)
		}
		if r.depth == 0 {
			return errNoObject
		}
		if r.depth == 1 {
			r.key = nil
		}
	}
}

var errNoObject = errors.New("not an object, or too deep a one")

// delim follows brackets; done means that the outermost object has ended.
func (r *condaRecord) delim(d json.Delim) (done bool, err error) {
	if d == '{' || d == '[' {
		r.depth++
		if r.depth == 1 && d == '[' || r.depth > maxCondaDepth {
			return false, errNoObject
		}
		return false, nil
	}
	r.depth--
	if r.depth == 1 {
		r.key = nil
	}
	return r.depth == 0, nil
}

func (r *condaRecord) text(t string, file func(string)) {
	switch {
	case r.depth == 1:
		r.field(*r.key, t)
	case r.depth == 2 && r.key != nil && *r.key == "files":
		file(t)
	}
}

func (r *condaRecord) field(key, t string) {
	switch key {
	case "name":
		r.Name = t
	case "version":
		r.Version = t
	case "subdir":
		r.Arch = t
	case "license":
		r.Licenses = one(t)
	}
}
