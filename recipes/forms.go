// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"regexp"

	"github.com/cudabuild/cudabuild/internal/schema"
	"github.com/cudabuild/cudabuild/spec"
)

// format is what recipes are read as. People write them in their own ways, and some have been
// written elsewhere.
var format = spec.Format{What: "the recipe", Forms: forms, Loose: true, Start: "write what it is, or remove it"}

// kinds are what files are read into, by their folders.
var kinds = map[string]any{"os": OS{}, "manager": Manager{}, "repository": Source{}, "era": eraFile{}, "toolkit": toolkitFile{}, "cuda": releaseFile{}, "flavor": flavorFile{}}

// Kinds returns the folders of recipes, sorted.
func Kinds() []string { return sortedKeys(kinds) }

// Schema returns the JSON Schema of the recipes in a folder, for editors. It sees less than
// [Load]: not what must be there, nor whether files fit together.
func Schema(kind string) *schema.Schema {
	return format.Schema(kinds[kind]).Document("cudabuild recipe: "+kind, "recipes/"+kind+"/NAME.yaml.")
}

// forms are what the fields of recipes may hold that are tagged with their names: "form"
// for a value, "keys" for the keys of a mapping. They reach command lines, scripts, files
// of package managers and Dockerfiles, so none begins like an option or has a character
// that means something there. Braces are an era's: it has them filled in from its pins.
var forms = map[string]spec.Form{
	"word":    {Pattern: exact(`[A-Za-z0-9][A-Za-z0-9._+-]*`), Want: "letters, digits and . _ + -, a letter or digit first"},
	"suite":   {Pattern: exact(`[A-Za-z0-9][A-Za-z0-9._+/-]*`), Want: "letters, digits and . _ + / -, a letter or digit first"},
	"package": {Pattern: exact(`[A-Za-z0-9{](?:[A-Za-z0-9.+~^:=_{}-]*[A-Za-z0-9.+~^_}])?`), Want: "the name of a package, perhaps with a version: letters, digits and . + ~ ^ : = _ -"},
	// What a package provides may be of a version: "libnvidia-ml.so.1 (= 550)".
	"provided": {Pattern: exact(`[A-Za-z0-9][A-Za-z0-9.+~_-]*(?: \(= [A-Za-z0-9][A-Za-z0-9.+~:-]*\))?`), Want: "the name of a package, perhaps with a version: libnvidia-ml.so.1 (= 550)"},
	"packages": {Pattern: exact(`[A-Za-z0-9*](?:[A-Za-z0-9.+*?_-]|\[[A-Za-z0-9!-]+\]|\{branch\})*`), Want: "the name of a package or a pattern: letters, digits and . + _ - * ? [ ], or {branch}"},
	"pin":      {Pattern: exact(`[A-Za-z0-9{][A-Za-z0-9.+~_{}-]*`), Want: "a version: letters, digits and . + ~ _ -"},
	"address":  {Pattern: exact(address), Want: "an address such as https://host/path"},
	"scheme":   {Pattern: exact(`https?`), Want: "http or https"},
	"image":    {Pattern: exact(`[a-z0-9][A-Za-z0-9._:/@-]*`), Want: "the name of an image, such as docker.io/library/ubuntu:24.04"},
	"variable": {Pattern: exact(`[A-Za-z_][A-Za-z0-9_]*`), Want: "the name of a variable: letters, digits and _, no digit first"},
	"path":     {Pattern: exact(`/[A-Za-z0-9._+@=:/ {}-]*`), Want: "an absolute path: letters, digits, spaces and . _ + @ = : / -"},
	"mount":    {Pattern: exact(`/[A-Za-z0-9._+/-]*`), Want: "an absolute path: letters, digits and . _ + / -"},
	"truth":    {Pattern: exact(`true|false`), Want: "true or false"},
	"day":      {Pattern: exact(`[12][0-9]{3}-[0-9]{2}(?:-[0-9]{2})?`), Want: "a day as YYYY-MM-DD, or YYYY-MM for the last one of a month"},
	"line":     {Pattern: exact(`[^\x00-\x1f\x7f-\x9f]*`), Want: "one line of text"},
	"flavor":   {Pattern: exact(`[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*`), Want: "a name of lower-case letters and digits, joined by . _ -"},
	"named":    {Pattern: exact(`[A-Za-z0-9](?:[A-Za-z0-9.+~^:=_-]*[A-Za-z0-9.+~^_])?`), Want: "the name of a package, perhaps with a version: letters, digits and . + ~ ^ : = _ -"},
	"place":    {Pattern: exact(`(?:/[A-Za-z0-9._+@=:-]+)+`), Want: "an absolute path: letters, digits and . _ + @ = : - in each part"},
	"beside":   {Pattern: exact(`[A-Za-z0-9._][A-Za-z0-9._+/-]*`), Want: "a path in the folder of recipes: letters, digits and . _ + / -"},
	"mode":     {Pattern: exact(`0[0-7]{3}`), Want: "four octal digits, the first 0: \"0644\""},
	"target":   {Pattern: exact(`[A-Za-z0-9._/{][A-Za-z0-9._+@=:/{}-]*`), Want: "a path: letters, digits and . _ + @ = : / -, no - first"},
}

// address is where a server keeps something.
const address = `https?://(?:[A-Za-z0-9._~@:-]+|\[[0-9A-Fa-f:]+\](?::[0-9]+)?)(?:/[A-Za-z0-9._~@:%+=/-]*)?`

func exact(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)$`) }
