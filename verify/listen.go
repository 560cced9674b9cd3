// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
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

// Object files and scripts are searched as they stream by: a window of listenWindow
// bytes, which overlaps the next one so that no text is cut in two. Of a script only
// the first window counts: installers say what they are at the top.
const (
	listenWindow  = 1 << 20
	listenOverlap = 1 << 10
)

// types of rows that tell by texts alone.
const (
	typeObject = "object"
	typeScript = "script"
)

var listenPool = sync.Pool{New: func() any { return new([listenWindow]byte) }}

// listen searches a file for the texts of the rows of its kind.
func (w *walker) listen(k sniff.Kind, h *tar.Header, body io.Reader) (content, error) {
	c := content{size: h.Size, notELF: k == sniff.Script}
	rows, most := w.rules.streamed[typeObject], h.Size
	if k == sniff.Script {
		rows, most = w.rules.streamed[typeScript], listenWindow
	}
	ear := ear{rows: rows, found: map[string]bool{}}
	err := ear.hear(io.LimitReader(body, most))
	c.said.path, c.said.version = ear.judge()
	return c, err
}

// ear remembers which texts were heard.
type ear struct {
	rows    []textRow
	found   map[string]bool
	version string
}

func (e *ear) hear(body io.Reader) error {
	buf := listenPool.Get().(*[listenWindow]byte)
	defer listenPool.Put(buf)
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
		kept = copy(buf[:], buf[len(buf)-listenOverlap:])
	}
}

func (e *ear) window(data []byte) {
	heard := false
	for _, row := range e.rows {
		for _, text := range row.texts {
			if bytes.Contains(data, []byte(text)) {
				e.found[text], heard = true, true
			}
		}
	}
	if heard && e.version == "" {
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

func (e *ear) judge() (*pathPattern, string) {
	for _, row := range e.rows {
		if !slices.ContainsFunc(row.texts, func(t string) bool { return !e.found[t] }) {
			return row.path, e.version
		}
	}
	return nil, ""
}
