// SPDX-License-Identifier: Apache-2.0

package loader

import "github.com/cudabuild/cudabuild/verify/internal/symbols"

// bytesOfSymbol is how many bytes of a table take one step: a hash.
const bytesOfSymbol = 8

// Unbound is a symbol that a file asks for and that no file of its process defines.
type Unbound struct {
	By *File
	symbols.Lack
}

// Unbound returns the symbols that files which are loaded together lack, in their order; known
// is false if of one it is not known what it defines and asks for.
func (im *Image) Unbound(files []*File) (all []Unbound, known bool) {
	var tables []*symbols.Table
	for _, f := range files {
		if f.Symbols == nil || !im.work(f.Symbols.Weight()/bytesOfSymbol) {
			return nil, false
		}
		tables = append(tables, f.Symbols)
	}
	for _, l := range symbols.Lacking(tables) {
		all = append(all, Unbound{files[l.File], l})
	}
	return all, true
}
