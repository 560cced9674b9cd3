// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
)

// Limits of the record of one conda package. It is read as it streams by: only
// a text in it is held.
const (
	maxCondaRecord = 32 << 20
	maxCondaDepth  = 100
)

// condaRecordName is NAME-VERSION-BUILD.
var condaRecordName = regexp.MustCompile(`-.*-.*\.json$`)

// condaRecord is what conda-meta/NAME.json says. Its fields may come in any order.
type condaRecord struct {
	name, version string
	named         bool // there is a key "name"
	depth         int
	key           *string // of the outermost object, nil between two
}

// conda reads the record of one conda package.
func (w *walker) conda(p string, body io.Reader) error {
	counted := &readers.Counter{R: io.LimitReader(body, maxCondaRecord)}
	var record condaRecord
	var files []string
	prefix := path.Dir(path.Dir(p))
	err := record.read(json.NewDecoder(counted), func(file string) {
		if file = clean(prefix + "/" + file); w.ownable(file) && w.rooms.owners.take(len(file)) {
			files = append(files, file)
		}
	})
	switch {
	case counted.Err != nil:
		return counted.Err
	case counted.N >= maxCondaRecord:
		w.unreadable(p, fmt.Sprintf("package record of more than %d bytes", maxCondaRecord))
	case err == nil && record.name == "":
		err = errors.New("no name")
	}
	if err != nil && condaRecordName.MatchString(path.Base(p)) {
		w.unreadable(p, fmt.Sprintf("package record: %v", err))
	}
	if err != nil {
		return nil // conda-meta/history.json and the like are no records
	}
	set := packageSet{Path: p, of: "conda"}
	w.installed(&set, record.name, record.version)
	for _, file := range files {
		w.owns(record.name, file)
	}
	w.packages(set)
	return nil
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
	case r.depth == 1 && *r.key == "name":
		r.name = t
	case r.depth == 1 && *r.key == "version":
		r.version = t
	case r.depth == 2 && r.key != nil && *r.key == "files":
		file(t)
	}
}
