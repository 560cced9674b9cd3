// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"path"
	"slices"
	"strings"
)

// Limits of one search path. Nix gives an object some 50 directories. No directory with a
// name of more than 4096 bytes can be opened.
const (
	maxElements = 512
	maxDirs     = 2048
	maxExpanded = 16 << 10
	maxIncludes = 100 // files that include each other, and patterns of all files

	stepsOfElement = 8 // it is replaced, joined and looked up
)

// family is which dynamic linkers of an ABI an image has.
type family struct{ glibc, musl bool }

// Dir is one directory of a search path.
type Dir struct {
	Path string // links followed
	// From is what names the directory: "LD_LIBRARY_PATH", "RPATH", "RUNPATH", the
	// path of a configuration file, or Default.
	From string
	// indexed means that ldconfig lists its libraries, by SONAME.
	indexed bool
	// linked means that ldconfig has linked the SONAMEs of its libraries.
	linked bool
}

// Default is the Dir.From of directories that are searched without being named.
const Default = "the default path"

// What else names directories.
const (
	fromEnv     = "LD_LIBRARY_PATH"
	fromRPath   = "RPATH"
	fromRunPath = "RUNPATH"
)

type systemKey struct {
	abi  ABI
	musl bool
}

// system returns the directories that all programs search last.
func (im *Image) system(abi ABI, musl bool) []Dir {
	key := systemKey{abi, musl}
	if dirs, ok := im.systems[key]; ok {
		return dirs
	}
	var dirs []Dir
	if musl {
		dirs = im.muslPath(abi, "")
	} else {
		dirs = im.ldConfig()
		for _, d := range abi.Defaults() {
			dirs = append(dirs, Dir{Path: d, From: Default})
		}
	}
	if dirs = im.distinct(dirs); !musl {
		dirs = im.listed(dirs, abi)
	}
	im.systems[key] = dirs
	return dirs
}

// Dirs returns the directories that every program of an ABI searches, in order:
// those of LD_LIBRARY_PATH and of the configuration, then the default ones.
func (im *Image) Dirs(abi ABI) []Dir {
	return slices.Concat(im.libraryPath(abi), im.system(abi, im.Musl(abi)))
}

// Musl reports whether programs of an ABI are musl's.
func (im *Image) Musl(abi ABI) bool { return im.loaders[abi].musl && !im.loaders[abi].glibc }

// Runs reports whether the image has a dynamic linker for an ABI.
func (im *Image) Runs(abi ABI) bool { return im.loaders[abi] != family{} }

// muslPath reads /etc/ld-musl-ARCH.path with what is appended to it. It replaces the
// default path.
func (im *Image) muslPath(abi ABI, appended string) []Dir {
	conf, from := "etc/ld-musl-"+abi.of().musl+".path", Default
	list := "/lib:/usr/local/lib:/usr/lib"
	if final, ok := im.Real(conf); ok {
		if text, ok := im.configs[final]; ok || appended != "" {
			list, from = text+"\n"+appended, conf
		}
	}
	var dirs []Dir
	for _, d := range strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == '\n' }) {
		dirs = append(dirs, Dir{Path: rooted("", d), From: from})
	}
	return dirs
}

// libraryPath returns the directories of LD_LIBRARY_PATH. The origin of a program
// is not replaced in it: nobody sets that for a whole image.
func (im *Image) libraryPath(abi ABI) []Dir {
	if im.env.LibraryPath == "" {
		return nil
	}
	dirs, known := im.libPaths[abi]
	if !known {
		dirs = im.expand(strings.ReplaceAll(im.env.LibraryPath, ";", ":"), "", abi, fromEnv)
		im.libPaths[abi] = dirs
	}
	return dirs
}

type ownKey struct {
	object *Object
	origin string
}

// own returns the directories that an object names itself, found in directory origin.
func (im *Image) own(o *Object, origin string) []Dir {
	if o.RunPath == "" && o.RPath == "" {
		return nil
	}
	key := ownKey{o, origin}
	dirs, known := im.owns[key]
	if !known {
		from := fromRPath
		if o.RunPath != "" {
			from = fromRunPath
		}
		dirs = im.expand(o.RunPath+o.RPath, origin, o.ABI, from)
		im.remember(key, dirs)
	}
	return dirs
}

// remember keeps what an object names, and forgets all others if that is too much.
func (im *Image) remember(key ownKey, dirs []Dir) {
	cost := 128
	for _, d := range dirs {
		cost += 48 + len(d.Path)
	}
	if im.ownBytes += cost; im.ownBytes > maxRemembered {
		clear(im.owns)
		im.ownBytes = cost
	}
	im.owns[key] = dirs
}

// OwnDirs returns the directories that a file names itself, in its RPATH or RUNPATH.
func (im *Image) OwnDirs(f *File) []Dir { return im.own(f.Object, dirOf(f.Real)) }

// expand splits a search path. An empty element is the working directory.
func (im *Image) expand(list, origin string, abi ABI, from string) []Dir {
	var dirs []Dir
	t := newTokens(origin, abi)
	for i, element := range strings.SplitN(list, ":", maxElements+1) {
		if i == maxElements || !im.work(stepsOfElement+(len(element)+len(origin))/32) {
			break
		}
		for _, d := range t.replace(element) {
			dirs = append(dirs, Dir{Path: rooted(im.env.WorkingDir, d), From: from})
		}
	}
	return im.distinct(dirs)
}

// tokens replaces $ORIGIN, $PLATFORM and $LIB, which is a different directory in
// each family of distributions. To make one takes longer than to use it.
type tokens struct {
	origin   string
	replacer *strings.Replacer
	libs     []string
}

func newTokens(origin string, abi ABI) tokens {
	p := abi.of()
	return tokens{
		origin:   origin,
		replacer: strings.NewReplacer("${ORIGIN}", "/"+origin, "$ORIGIN", "/"+origin, "${PLATFORM}", p.name, "$PLATFORM", p.name, "${LIB}", "$LIB"),
		libs:     []string{"lib/" + p.tuple, p.lib, "lib"},
	}
}

// replace returns what s means, at least one path.
func (t tokens) replace(s string) []string {
	if !strings.Contains(s, "$") || len(s)+strings.Count(s, "$")*len(t.origin) > maxExpanded {
		return []string{s}
	}
	s = t.replacer.Replace(s)
	if !strings.Contains(s, "$LIB") {
		return []string{s}
	}
	var all []string
	for _, lib := range t.libs {
		all = append(all, strings.ReplaceAll(s, "$LIB", lib))
	}
	return all
}

// distinct follows links and keeps the first of each directory.
func (im *Image) distinct(dirs []Dir) []Dir {
	seen := map[string]bool{}
	var kept []Dir
	for _, d := range dirs {
		final, ok := im.Real(d.Path)
		if !ok || seen[final] || len(kept) == maxDirs {
			continue
		}
		seen[final] = !d.ByHook()
		d.Path = final
		kept = append(kept, d)
	}
	return kept
}

// listed returns directories in the order of ldconfig's cache: what is for newer processors
// comes before all others, wherever it is.
func (im *Image) listed(dirs []Dir, abi ABI) []Dir {
	var all []Dir
	for _, d := range dirs {
		all = append(all, im.hwcaps(d, abi)...)
	}
	rank := func(d Dir) int { return slices.Index(abi.of().hwcaps, path.Base(d.Path)) }
	slices.SortStableFunc(all, func(a, b Dir) int { return rank(a) - rank(b) })
	all = append(all, dirs...)
	for i := range all {
		all[i].indexed = true
	}
	return all
}

// ldConfig returns the directories of /etc/ld.so.conf, in order.
func (im *Image) ldConfig() []Dir { return im.read(nil) }

// read returns the directories of ld.so.conf with files that are not the image's.
func (im *Image) read(extra map[string]string) []Dir {
	c := im.newConfig(extra)
	c.read(mainConfig, 0)
	return c.dirs
}

func (im *Image) newConfig(extra map[string]string) *config {
	c := &config{im: im, extra: extra, seen: map[string]bool{}}
	for p := range im.configs {
		c.names = append(c.names, p)
	}
	for p := range im.links.at {
		if strings.HasPrefix(p, "etc/ld.so.conf.d/") || strings.HasSuffix(p, ".conf") {
			c.names = append(c.names, p)
		}
	}
	for p := range extra {
		c.names = append(c.names, p)
	}
	slices.Sort(c.names)
	return c
}

// config reads ld.so.conf and what it includes.
type config struct {
	im    *Image
	extra map[string]string // text that is not the image's, by path
	names []string          // that can be included, sorted: of links, those that look like it
	seen  map[string]bool   // files, by real path, and patterns, which begin with "include "
	asked int               // patterns
	dirs  []Dir
}

// text returns a file's text and its real path.
func (c *config) text(file string) (text, final string) {
	if text, ok := c.extra[file]; ok {
		return text, file
	}
	final, _ = c.im.Real(file)
	return c.im.configs[final], final
}

func (c *config) read(file string, depth int) {
	text, final := c.text(file)
	if c.seen[final] || len(c.dirs) > maxDirs {
		return
	}
	if depth == maxIncludes {
		c.im.cut = true
		return
	}
	c.seen[final] = true
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || fields[0] == "hwcap":
		case fields[0] == "include":
			for _, pattern := range fields[1:] {
				for _, name := range c.matching(rooted(dirOf(file), pattern)) {
					c.read(name, depth+1)
				}
			}
		case path.IsAbs(fields[0]):
			dir, _, _ := strings.Cut(strings.TrimSpace(line), "=") // "/lib=libc6" names a kind
			c.dirs = append(c.dirs, Dir{Path: rooted("", dir), From: file})
		}
	}
}

// matching returns the files that match a pattern, in the order of their names; nothing
// for a pattern that has been asked for.
func (c *config) matching(pattern string) (names []string) {
	if c.seen["include "+pattern] {
		return nil
	}
	if c.asked++; c.asked > maxIncludes {
		c.im.cut = true
		return nil
	}
	c.seen["include "+pattern] = true
	if dir := dirOf(pattern); strings.IndexFunc(dir, isMeta) < 0 {
		if final, ok := c.im.Real(dir); ok {
			pattern = join(final, path.Base(pattern))
		}
	}
	plain, stars := pattern, 1+strings.Count(pattern, "*")
	if at := strings.IndexFunc(pattern, isMeta); at >= 0 {
		plain = pattern[:at]
	}
	from, _ := slices.BinarySearch(c.names, plain)
	for _, name := range c.names[from:] {
		if !strings.HasPrefix(name, plain) || !c.im.work(1+stars*len(name)/32) {
			break
		}
		if ok, err := path.Match(pattern, name); ok && err == nil && !strings.HasPrefix(path.Base(name), ".") {
			names = append(names, name)
		}
	}
	return names
}

// isMeta reports whether r means something else than itself in a pattern.
func isMeta(r rune) bool { return strings.ContainsRune(`*?[\`, r) }
