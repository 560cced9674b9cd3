// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/cudabuild/cudabuild/internal/suggest"
	"github.com/cudabuild/cudabuild/spec"
)

// strays reports what looks like a recipe of the layer and would not be read: it must not
// change nothing, silently. Beside the folders of recipes anything may stand, inside them
// README files and what starts with a dot.
func (l layer) strays(r *spec.Report) {
	stray := func(name, hint, message string) {
		r.Add(spec.Problem{File: filepath.Join(l.dir, name), Message: message, Hint: hint})
	}
	folders := Kinds()
	beside, _ := fs.ReadDir(l.FS, ".") // what cannot be read has no recipes either
	for _, e := range beside {
		if near := suggest.Nearest(e.Name(), folders, 1); e.IsDir() && len(near) > 0 && near[0] != e.Name() {
			stray(e.Name(), suggest.Hint(e.Name(), folders), "is no folder of recipes")
		}
	}
	for _, folder := range folders {
		inside, _ := fs.ReadDir(l.FS, folder)
		for _, e := range inside {
			name := path.Join(folder, e.Name())
			switch stem, _, _ := strings.Cut(e.Name(), ".yml"); {
			case path.Ext(name) == ".yaml" || strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "README"):
			case e.IsDir():
				stray(name, "move the recipes in it up, or the folder away", "is a folder, in which nothing is read")
			case path.Ext(name) == ".yml":
				stray(name, "did you mean "+stem+".yaml?", "is no recipe: want NAME.yaml")
			default:
				stray(name, "move it away: only recipes, README files and names that start with a dot may be here", "is no recipe: want NAME.yaml")
			}
		}
	}
}
