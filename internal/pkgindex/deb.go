// SPDX-License-Identifier: Apache-2.0

package pkgindex

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
)

var _ Reader = Deb

// Deb reads a Packages file (Debian policy 5.1 and 5.3): entries of fields with empty lines
// between them. Fields that [Package] has no place for are not kept.
func Deb(list io.Reader) iter.Seq2[Package, error] {
	return func(yield func(Package, error) bool) {
		lines := bufio.NewScanner(list)
		lines.Buffer(nil, maxEntry)
		entry := debEntry{}
		for number := 1; lines.Scan(); number++ {
			line := lines.Text()
			if strings.TrimSpace(line) != "" {
				if err := entry.add(line); err != nil {
					yield(Package{}, fmt.Errorf("line %d: %w", number, err))
					return
				}
				continue
			}
			if !entry.yield(yield, number) {
				return
			}
			entry = debEntry{}
		}
		if err := lines.Err(); err != nil {
			yield(Package{}, err)
			return
		}
		entry.yield(yield, 0)
	}
}

// debFields are those of an entry that make a [Package].
var debFields = map[string]bool{"package": true, "version": true, "architecture": true, "filename": true, "size": true, "sha256": true, "provides": true}

// debEntry has the values of debFields, and "" if anything else was there.
type debEntry map[string]string

func (e debEntry) add(line string) error {
	if line[0] == ' ' || line[0] == '\t' || line[0] == '#' { // more of a field that no package has, or a comment
		return nil
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return fmt.Errorf("%q is no field", short(line))
	}
	name = strings.ToLower(name)
	if !debFields[name] {
		e[""] = "" // an entry, whatever else it lacks
		return nil
	}
	if _, twice := e[name]; twice {
		return fmt.Errorf("field %s is there twice", name)
	}
	e[name] = strings.TrimSpace(value)
	return nil
}

func (e debEntry) yield(yield func(Package, error) bool, number int) bool {
	if len(e) == 0 {
		return true
	}
	p := Package{Name: e["package"], Version: e["version"], Arch: e["architecture"], SHA256: e["sha256"], File: e["filename"], Provides: e["provides"]}
	var err error
	if p.Size, err = strconv.ParseInt(e["size"], 10, 64); err != nil {
		err = fmt.Errorf("package %q: size %q", short(p.Name), short(e["size"]))
	}
	if err = errors.Join(p.check(), err); err != nil {
		if number > 0 {
			err = fmt.Errorf("entry before line %d: %w", number, err)
		}
		yield(Package{}, err)
		return false
	}
	return yield(p, nil)
}
