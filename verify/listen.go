// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"sync"
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
func (w *walker) listen(k kind, h *tar.Header, body io.Reader) (content, error) {
	c := content{size: h.Size}
	rows, most := w.rules.streamed[typeObject], h.Size
	if k == kindScript {
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
		n, err := fill(body, buf[kept:])
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
	if m := objectVersion.FindSubmatch(data); heard && e.version == "" && m != nil {
		e.version = string(m[1])
	}
}

// objectVersion is how modules (version=550.54.15, "Kernel Module  550.54.15  Wed"),
// firmware (a section with nothing else in it) and installers name their driver.
var objectVersion = regexp.MustCompile(`[^0-9A-Za-z.]([0-9]{3}\.[0-9]{2,3}(?:\.[0-9]{2})?)[\x00 "]`)

func (e *ear) judge() (*pathPattern, string) {
	for _, row := range e.rows {
		if !slices.ContainsFunc(row.texts, func(t string) bool { return !e.found[t] }) {
			return row.path, e.version
		}
	}
	return nil, ""
}
