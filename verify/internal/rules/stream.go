// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"regexp"
	"slices"
	"sync"

	"github.com/cudabuild/cudabuild/verify/internal/readers"
	"github.com/cudabuild/cudabuild/verify/internal/sniff"
)

// Object files and scripts are searched as they stream by: a window of StreamWindow
// bytes, which overlaps the next one so that no text is cut in two. Of a script only
// the first window counts: installers say what they are at the top.
const (
	// StreamWindow is how much of a file is held at a time.
	StreamWindow  = 1 << 20
	streamOverlap = 1 << 10
)

// types of rows that tell by texts alone.
const (
	typeObject = "object"
	typeScript = "script"
)

// Windows are buffers of that size.
var Windows = sync.Pool{New: func() any { return new([StreamWindow]byte) }}

// Stream searches an object file, or a script, for the texts of the rows of its kind.
func (s *Set) Stream(k sniff.Kind, size int64, body io.Reader) (Texts, error) {
	rows, most := s.streamed[typeObject], size
	if k == sniff.Script {
		rows, most = s.streamed[typeScript], StreamWindow
	}
	scan := textScanner{rows: rows, found: map[string]bool{}}
	err := scan.read(io.LimitReader(body, most))
	return scan.texts(), err
}

// textScanner remembers which texts were found.
type textScanner struct {
	rows    []textRow
	found   map[string]bool
	version string
}

func (e *textScanner) read(body io.Reader) error {
	buf := Windows.Get().(*[StreamWindow]byte)
	defer Windows.Put(buf)
	kept := 0
	for {
		n, err := readers.Fill(body, buf[kept:])
		e.window(buf[:kept+n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		kept = copy(buf[:], buf[len(buf)-streamOverlap:])
	}
}

func (e *textScanner) window(data []byte) {
	seen := false
	for _, row := range e.rows {
		for _, text := range row.texts {
			if bytes.Contains(data, []byte(text)) {
				e.found[text], seen = true, true
			}
		}
	}
	if seen && e.version == "" {
		e.version = objectVersion(data)
	}
}

// moduleVersion is the field of modinfo.
var moduleVersion = regexp.MustCompile(`\x00version=([0-9.]+)\x00`)

// objectVersion returns the driver version that modules, firmware (a section with nothing
// else in it) and installers name, the first of data.
func objectVersion(data []byte) (version string) {
	for _, re := range []*regexp.Regexp{idText, moduleVersion} {
		if m := re.FindSubmatch(data); m != nil && driverVersion.Match(m[1]) {
			return string(m[1])
		}
	}
	eachVersion(data, func(v string) { version = cmp.Or(version, v) })
	return version
}

func (e *textScanner) texts() Texts {
	for _, row := range e.rows {
		if !slices.ContainsFunc(row.texts, func(t string) bool { return !e.found[t] }) {
			return Texts{Path: row.path, Version: e.version}
		}
	}
	return Texts{}
}
