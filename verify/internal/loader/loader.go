// SPDX-License-Identifier: Apache-2.0

// Package loader answers what the dynamic linker of an image would load: where a
// library name leads, in which order directories are searched, and what a program
// needs that the image does not have.
//
// [New] puts the facts of the layers together into the file system that a
// container sees: whiteouts, replaced files and linked directories included.
// [Image.Closure] follows the needs of one file as ld.so does, and
// [Image.HookedDirs] is the search order with the host's directory in place.
//
// It knows glibc (ld.so(8): DT_RPATH, LD_LIBRARY_PATH, DT_RUNPATH, the directories
// of /etc/ld.so.conf, the default ones, glibc-hwcaps) and musl (/etc/ld-musl-ARCH.path).
// In place of /etc/ld.so.cache it uses the directories and rules that ldconfig
// makes the cache from, because the runtime hook runs ldconfig when a container
// starts; what only the cache leads to, [Image.Cached] tells. It is pure, knows nothing of NVIDIA, and its work is bounded by the bytes of the
// facts; a bound that was reached shows in [Image.Exceeded].
package loader

import "github.com/cudabuild/cudabuild/verify/internal/symbols"

// Facts is what one layer tells the dynamic linker. It refers to no other layer.
type Facts struct {
	Objects []Object `json:"objects,omitempty"` // sorted by path, one a path
	Links   []Link   `json:"links,omitempty"`   // symbolic links, sorted by path, one a path
	Configs []Config `json:"configs,omitempty"` // linker configuration, sorted by path
	// Cached is the entries of the layer's /etc/ld.so.cache, name and file, but for
	// those of default directories.
	Cached []Link `json:"cached,omitempty"`
	// Tables are the symbols of objects; the cache has a place of its own for them.
	Tables []*symbols.Table `json:"-"`
	// Text is the bytes of the objects' names, each once: files share them.
	Text int `json:"text,omitempty"`
	// Incomplete says why something is missing here, "" if nothing is.
	Incomplete string `json:"incomplete,omitempty"`
}

// Object is one dynamic ELF file. Paths have no leading slash.
type Object struct {
	Path    string   `json:"path"`
	ABI     ABI      `json:"abi"`
	Interp  string   `json:"interp,omitempty"` // set for programs
	SOName  string   `json:"soname,omitempty"`
	Needed  []string `json:"needed,omitempty"`
	RPath   string   `json:"rpath,omitempty"` // "" where RunPath is set
	RunPath string   `json:"runpath,omitempty"`
	// NoDefault means that it asked not to search the default directories.
	NoDefault bool       `json:"nodefault,omitempty"`
	Versions  []Versions `json:"versions,omitempty"` // that it needs
	Defines   []string   `json:"defines,omitempty"`  // versions that it offers
	// Stub marks a link-time stub of a library that the host provides.
	Stub bool `json:"stub,omitempty"`
	// Note is the JSON of its note of forward compatibility, "" if it has none.
	Note string `json:"note,omitempty"`
	// Opens says that an object which does not need glibc has the host's library in it by
	// name, for dlopen.
	Opens bool `json:"opens,omitempty"`
	// Version is what the content of such a library says that it is of, "" if nothing.
	Version string `json:"version,omitempty"`
	// Symbols are those that it defines and asks for, nil if that is not known; Table is their
	// number among Facts.Tables, from 1.
	Symbols *symbols.Table `json:"-"`
	Table   int            `json:"table,omitempty"`
	Built   []Built        `json:"built,omitempty"`
}

// Built is a library and the version of it that an object says it was built with.
type Built struct {
	Lib     string `json:"lib"` // "libcurand.so"
	Version string `json:"version"`
}

// Versions is the symbol versions that an object needs of one library.
type Versions struct {
	Lib   string   `json:"lib"`
	Names []string `json:"names"`
}

// Number fills Tables from the objects.
func (f *Facts) Number() {
	numbers := map[*symbols.Table]int{}
	for i := range f.Objects {
		o := &f.Objects[i]
		if o.Symbols == nil {
			continue
		}
		if numbers[o.Symbols] == 0 { // else it is a hard link
			f.Tables = append(f.Tables, o.Symbols)
			numbers[o.Symbols] = len(f.Tables)
		}
		o.Table = numbers[o.Symbols]
	}
}

// Bind sets the symbols of each object from Tables, of facts that were just read.
func (f *Facts) Bind() {
	for i := range f.Objects {
		if o := &f.Objects[i]; o.Table > 0 && o.Table <= len(f.Tables) {
			o.Symbols = f.Tables[o.Table-1]
		}
	}
}

// Link is a symbolic link as the layer has it, or a hard link (New's Layer.Hard).
type Link struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

// Config is one file that configures the search: ld.so.conf, a file that it may
// include, or ld-musl-ARCH.path.
type Config struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// File is an object of the image.
type File struct {
	*Object
	Real  string // its path with all links of directories resolved
	Layer int
}

// Program reports whether the file is a program, not a library.
func (f *File) Program() bool { return f.Interp != "" }
