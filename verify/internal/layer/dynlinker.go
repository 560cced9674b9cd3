// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/verify/internal/loader"
	"github.com/cudabuild/cudabuild/verify/internal/pkgdb"
	"github.com/cudabuild/cudabuild/verify/internal/rules"
)

// maxLinkerConfig bounds a file that configures the dynamic linker, in bytes.
const maxLinkerConfig = 64 << 10

// PreloadFile is glibc's list of libraries for every program.
const PreloadFile = "etc/ld.so.preload"

// linkerCollector keeps of one layer what its image's dynamic linker will go by. Of
// entries with one path, the last counts.
type linkerCollector struct {
	objects    map[string]loader.Object
	links      map[string]string
	configs    map[string]string
	cached     []loader.Link
	words      map[string]string // names that many objects share
	room       *room
	tables     *room // of symbols
	text       int   // of words
	incomplete string
}

func newLinkerCollector(r, tables *room) linkerCollector {
	return linkerCollector{room: r, tables: tables, objects: map[string]loader.Object{}, links: map[string]string{}, configs: map[string]string{}, words: map[string]string{}}
}

// keep reports whether n more bytes may be kept.
func (c *linkerCollector) keep(n int) bool {
	if !c.room.spend(int64(n)) {
		c.incomplete = fmt.Sprintf("the layer has more than %d MiB of library names and links", maxLinker>>20)
		return false
	}
	return true
}

// forget drops what an earlier entry of the layer had at p.
func (c *linkerCollector) forget(p string) {
	delete(c.objects, p)
	delete(c.links, p)
	delete(c.configs, p)
	if p == loader.Cache {
		c.cached = nil
	}
}

// inCache keeps an entry of the linker's cache.
func (c *linkerCollector) inCache(name, file string) {
	if !loader.IsDefault(path.Dir(Clean(file))) && c.keep(len(name)+len(file)+96) {
		c.cached = append(c.cached, loader.Link{Path: name, Target: file})
	}
}

func (c *linkerCollector) link(p, target string) {
	if c.keep(len(p) + len(target) + 96) {
		c.links[p] = strings.Clone(target) // of a header it would hold all
	}
}

// hardLink repeats an earlier entry of the layer.
func (c *linkerCollector) hardLink(p, target string) {
	if to, ok := c.links[target]; ok {
		c.link(p, to)
	}
	if o, ok := c.objects[target]; ok && c.keep(len(p)+o.Weight()) {
		o.Path = p
		c.objects[p] = o
	}
}

// object keeps a dynamic ELF file; stub says that it is a driver library's stub.
func (c *linkerCollector) object(p string, is content, stub bool) {
	elf, note := is.elf, is.texts.Note
	if !c.keep(len(p) + len(note) + 256 + 32*(len(elf.Needed)+len(elf.VersionDefs))) {
		return
	}
	o := loader.Object{
		Path: p, ABI: loader.NewABI(elf.Machine, elf.Class, elf.Data), Interp: c.word(elf.Interp),
		SOName: c.word(elf.SOName), Needed: c.wordsOf(elf.Needed), RPath: c.word(elf.RPath), RunPath: c.word(elf.RunPath),
		NoDefault: elf.NoDefault, Defines: c.wordsOf(elf.VersionDefs), Stub: stub, Version: c.word(is.texts.Version), Note: note, Opens: is.opens,
	}
	for _, v := range elf.VersionNeeds {
		if c.keep(48 + 32*len(v.Versions)) {
			o.Versions = append(o.Versions, loader.Versions{Lib: c.word(v.Lib), Names: c.wordsOf(v.Versions)})
		}
	}
	for _, b := range elf.Built {
		if c.keep(64) {
			o.Built = append(o.Built, loader.Built{Lib: c.word(b.Lib), Version: c.word(b.Version)})
		}
	}
	if t := elf.Symbols; t != nil && c.tables.keep(t.Weight()) {
		o.Symbols = t.Clone()
	}
	c.objects[p] = o
}

// wordsOf returns a list of its own: the caller's goes on to be judged.
func (c *linkerCollector) wordsOf(list []string) []string {
	var words []string
	for _, s := range list {
		words = append(words, c.word(s))
	}
	return words
}

// word returns one copy of each string, "" if there is no room for another.
func (c *linkerCollector) word(s string) string {
	if known, ok := c.words[s]; ok || s == "" || !c.keep(len(s)+48) {
		return known
	}
	c.words[s] = s
	c.text += len(s) + 48
	return s
}

// seal returns what was kept, sorted. Links to plain files are dropped, unless the
// name is a library's or a package database's, or they may be started: they lead the dynamic linker nowhere.
func (c *linkerCollector) seal(paths Paths, started *executableCollector) loader.Facts {
	f := loader.Facts{Incomplete: c.incomplete, Cached: c.cached, Text: c.text}
	for _, o := range c.objects {
		f.Objects = append(f.Objects, o)
	}
	for p, target := range c.links {
		if strings.Contains(path.Base(p), ".so") || !c.plain(paths, p, target) || startable(p) || pkgdb.IsPlace(p) || started.has(LinkTarget(p, target)) {
			f.Links = append(f.Links, loader.Link{Path: p, Target: target})
		} else {
			started.unknown(p)
		}
	}
	for p, text := range c.configs {
		f.Configs = append(f.Configs, loader.Config{Path: p, Text: text})
	}
	slices.SortFunc(f.Objects, func(a, b loader.Object) int { return cmp.Compare(a.Path, b.Path) })
	f.Number()
	slices.SortFunc(f.Links, func(a, b loader.Link) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(f.Configs, func(a, b loader.Config) int { return cmp.Compare(a.Path, b.Path) })
	return f
}

// startable reports whether what an image starts is often at p.
func startable(p string) bool { return rules.InBin(p) || !strings.Contains(p, "/") }

// plain reports whether a link's target is a file of this layer that is neither
// an ELF file nor a link.
func (c *linkerCollector) plain(paths Paths, p, target string) bool {
	to := LinkTarget(p, target)
	_, isLink := c.links[to]
	_, isObject := c.objects[to]
	_, isConfig := c.configs[to]
	return !isLink && !isObject && !isConfig && paths.Has(KindFile, to)
}

// isLinkerConfig reports whether p, which begins with head, configures a dynamic linker.
// Distributions have had links from ld.so.conf.d to a file ld.so.conf elsewhere, others may
// have them to a file ld.so.preload, and files anywhere may be included.
func isLinkerConfig(p string, head []byte, size int64) bool {
	musl, _ := path.Match("etc/ld-musl-*.path", p)
	named := path.Base(p) == "ld.so.conf" || path.Base(p) == path.Base(PreloadFile) || path.Dir(p) == "etc/ld.so.conf.d"
	return musl || named || strings.HasSuffix(p, ".conf") && size <= maxLinkerConfig && namesDirs(head)
}

// namesDirs reports whether a text, which may be cut off, has nothing but directories,
// comments and what ld.so.conf includes.
func namesDirs(text []byte) (some bool) {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
		case line[0] == '/' || bytes.HasPrefix(line, []byte("include ")):
			some = true
		case bytes.HasSuffix(text, line) && bytes.HasPrefix([]byte("include "), line): // cut off
		default:
			return false
		}
	}
	return some
}

// linkerConfig keeps the text of p and returns body as it was.
func (c *linkerCollector) linkerConfig(p string, body io.Reader) (io.Reader, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxLinkerConfig+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxLinkerConfig {
		c.incomplete = fmt.Sprintf("%s is larger than %d bytes", p, maxLinkerConfig)
	} else if c.keep(len(p) + len(text) + 64) {
		c.configs[p] = string(text)
	}
	return io.MultiReader(bytes.NewReader(text), body), nil
}
