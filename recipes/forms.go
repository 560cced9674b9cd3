// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"regexp"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// form is what a word may be, and that in words.
type form struct {
	re   *regexp.Regexp
	want string
}

// forms are what the fields of recipes may hold that are tagged with their names: "form"
// for a value, "keys" for the keys of a mapping. They reach command lines, scripts, files
// of package managers and Dockerfiles, so none begins like an option or has a character
// that means something there. Braces are an era's: it has them filled in from its pins.
var forms = map[string]form{
	"word":    {exact(`[A-Za-z0-9][A-Za-z0-9._+-]*`), "letters, digits and . _ + -, a letter or digit first"},
	"suite":   {exact(`[A-Za-z0-9][A-Za-z0-9._+/-]*`), "letters, digits and . _ + / -, a letter or digit first"},
	"package": {exact(`[A-Za-z0-9{](?:[A-Za-z0-9.+~^:=_{}-]*[A-Za-z0-9.+~^_}])?`), "the name of a package, perhaps with a version: letters, digits and . + ~ ^ : = _ -"},
	// What a package provides may be of a version: "libnvidia-ml.so.1 (= 550)".
	"provided": {exact(`[A-Za-z0-9][A-Za-z0-9.+~_-]*(?: \(= [A-Za-z0-9][A-Za-z0-9.+~:-]*\))?`), "the name of a package, perhaps with a version: libnvidia-ml.so.1 (= 550)"},
	"packages": {exact(`[A-Za-z0-9*](?:[A-Za-z0-9.+*?_-]|\[[A-Za-z0-9!-]+\]|\{branch\})*`), "the name of a package or a pattern: letters, digits and . + _ - * ? [ ], or {branch}"},
	"pin":      {exact(`[A-Za-z0-9{][A-Za-z0-9.+~_{}-]*`), "a version: letters, digits and . + ~ _ -"},
	"address":  {exact(address), "an address such as https://host/path"},
	"scheme":   {exact(`https?`), "http or https"},
	"image":    {exact(`[a-z0-9][A-Za-z0-9._:/@-]*`), "the name of an image, such as docker.io/library/ubuntu:24.04"},
	"variable": {exact(`[A-Za-z_][A-Za-z0-9_]*`), "the name of a variable: letters, digits and _, no digit first"},
	"path":     {exact(`/[A-Za-z0-9._+@=:/ {}-]*`), "an absolute path: letters, digits, spaces and . _ + @ = : / -"},
	"mount":    {exact(`/[A-Za-z0-9._+/-]*`), "an absolute path: letters, digits and . _ + / -"},
	"line":     {exact(`[^\x00-\x1f\x7f-\x{9f}]*`), "one line of text"},
	"target":   {exact(`[A-Za-z0-9._/{][A-Za-z0-9._+@=:/{}-]*`), "a path: letters, digits and . _ + @ = : / -, no - first"},
}

// address is where a server keeps something.
const address = `https?://(?:[A-Za-z0-9._~@:-]+|\[[0-9A-Fa-f:]+\](?::[0-9]+)?)(?:/[A-Za-z0-9._~@:%+=/-]*)?`

func exact(pattern string) *regexp.Regexp { return regexp.MustCompile(`\A(?:` + pattern + `)\z`) }

// fitForm reports a word that is not of the form that its field is tagged with, and any
// that has control characters: the end of a line and tabs are for texts.
func (f *file) fitForm(n *yaml.Node, name, what string) {
	switch want, tagged := forms[name]; {
	case n.Value == "":
	case tagged && !want.re.MatchString(n.Value):
		f.at(n, "", "%s: %q: want %s", what, n.Value, want.want)
	case strings.ContainsFunc(n.Value, hidden):
		f.at(n, "", "%s: %q has characters that cannot be seen", what, n.Value)
	}
}

// hidden reports a character that a terminal would act on, or that hides others.
func hidden(r rune) bool { return r != '\n' && r != '\t' && r != ' ' && !unicode.IsPrint(r) }
