// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cudabuild/cudabuild/recipes"
)

// place is a shell script that writes the files and links of a layer; "" if it has none.
func place(l recipes.Layer) string {
	var s strings.Builder
	for _, file := range slices.Sorted(maps.Keys(l.Files)) {
		fmt.Fprintf(&s, "mkdir -p %s\nprintf '%%s' %s >%s\n", Quote(path.Dir(file)), Quote(l.Files[file]), Quote(file))
		if mode := l.Modes[file]; mode != "" {
			fmt.Fprintf(&s, "chmod %s %s\n", mode, Quote(file))
		}
	}
	for _, link := range slices.Sorted(maps.Keys(l.Links)) {
		fmt.Fprintf(&s, "mkdir -p %s\nln -sfn %s %s\n", Quote(path.Dir(link)), Quote(l.Links[link]), Quote(link))
	}
	if len(l.Files) > 0 { // among them what the linker reads
		s.WriteString("ldconfig\nrm -f /var/cache/ldconfig/aux-cache\n")
	}
	return s.String()
}

// Quote is a word of a shell command whose value is the text.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
